package config

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"
)

// A unit is a suffix and its value.
type unit struct {
	name string
	size int64
}

var durationUnits = []unit{
	{"ms", int64(time.Millisecond)}, // must come before m, because "ms" starts with "m"
	{"s", int64(time.Second)},
	{"m", int64(time.Minute)},
	{"h", int64(time.Hour)},
	{"d", int64(day)},
	{"y", int64(year)},
}

var sizeUnits = []unit{{"KB", 1 << 10}, {"MB", mib}, {"GB", 1 << 30}}

// durationExamples are the examples in advice, by the usual unit of the value.
var durationExamples = map[string][2]string{"s": {"10s", "1h30m"}, "d": {"30d", "1y"}}

// parseDuration reads "10s", "500ms", "1h30m", "90d", "20y". The advice in an error shows the
// unit, "s" or "d". The error is the end of a sentence that begins with the text.
func parseDuration(text, unit string) (time.Duration, error) {
	examples := durationExamples[unit]
	if strings.HasPrefix(text, "-") {
		return 0, fmt.Errorf("is negative: write one such as %q", examples[0])
	}
	sum := int64(0)
	for rest := text; rest != "" || text == ""; {
		digits, after := cutNumber(rest)
		if digits == "" {
			return 0, fmt.Errorf("is no duration: write one such as %q or %q (units: ms s m h d y)", examples[0], examples[1])
		}
		if after == "" {
			return 0, fmt.Errorf("has no unit: write %q (units: ms s m h d y)", text+unit)
		}
		n, after, err := times(digits, after, durationUnits)
		if err != nil {
			return 0, err
		}
		if n > math.MaxInt64-sum {
			return 0, errTooLarge
		}
		sum, rest = sum+n, after
	}
	return time.Duration(sum), nil
}

// parseSize reads "500KB", "20MB", "1GB". The error is the end of a sentence that begins with the
// text.
func parseSize(text string) (int64, error) {
	digits, after := cutNumber(text)
	if digits != "" && after == "" {
		return 0, fmt.Errorf("has no unit: write %q (units: KB MB GB)", text+"MB")
	}
	if digits != "" {
		n, rest, err := times(digits, after, sizeUnits)
		if err == errTooLarge || err == nil && rest == "" {
			return n, err
		}
	}
	return 0, fmt.Errorf(`is no size: write one such as "20MB" (units: KB MB GB)`)
}

var errTooLarge = fmt.Errorf("is too large")

func cutNumber(text string) (digits, rest string) {
	rest = strings.TrimLeft(text, "0123456789")
	return text[:len(text)-len(rest)], rest
}

// times multiplies the digits by the unit that rest starts with.
func times(digits, rest string, units []unit) (n int64, after string, err error) {
	for _, u := range units {
		after, ok := strings.CutPrefix(rest, u.name)
		if !ok {
			continue
		}
		for _, c := range digits {
			if n > (math.MaxInt64-9)/10 {
				return 0, "", errTooLarge
			}
			n = 10*n + int64(c-'0')
		}
		if n > math.MaxInt64/u.size {
			return 0, "", errTooLarge
		}
		return n * u.size, after, nil
	}
	var names []string
	for _, u := range units {
		names = append(names, u.name)
	}
	return 0, "", fmt.Errorf("has an unknown unit (units: %s)", strings.Join(names, " "))
}

// parsePrefix reads "10.0.0.0/8", or "10.0.0.7" for that one address. The error is the end of a
// sentence that begins with the text.
func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf(`is no address or network: write one such as "10.0.0.0/8" or "192.168.1.7"`)
	}
	if addr := p.Addr(); addr.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(addr.Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return p, fmt.Errorf("has bits set behind the /%d: write %q for the network, or %q for that one address",
			p.Bits(), p.Masked(), p.Addr())
	}
	return p, nil
}
