package config

import (
	"math"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0s":       0,
		"10s":      10 * time.Second,
		"500ms":    500 * time.Millisecond,
		"1h30m":    90 * time.Minute,
		"1m1ms":    time.Minute + time.Millisecond,
		"90d":      90 * 24 * time.Hour,
		"20y":      20 * 365 * 24 * time.Hour,
		"36500d":   100 * year,
		"292y":     292 * year,
		"0000001s": time.Second,
	} {
		if got, err := parseDuration(text, "s"); got != want || err != nil {
			t.Errorf("parseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "10", "s", "-1s", "+1s", "1.5h", "1 s", " 1s", "1S", "1w", "1h30", "1us", "1sm",
		"293y", "292y200d", "9223372036854775807y", "9223372036854775808ms", "99999999999999999999999s",
	} {
		if got, err := parseDuration(text, "s"); err == nil {
			t.Errorf("parseDuration(%q) = %v, want an error", text, got)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0KB": 0, "1KB": 1024, "20MB": 20 << 20, "1GB": 1 << 30, "8589934591GB": math.MaxInt64 &^ (1<<30 - 1),
	} {
		if got, err := parseSize(text); got != want || err != nil {
			t.Errorf("parseSize(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "20", "MB", "-1MB", "1.5MB", "1 MB", "1mb", "1MiB", "1MBs", "1B", "8589934592GB"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("parseSize(%q) = %v, want an error", text, got)
		}
	}
}

func TestParsePrefix(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/8":          "10.0.0.0/8",
		"0.0.0.0/0":           "0.0.0.0/0",
		"192.168.1.7":         "192.168.1.7/32",
		"::1":                 "::1/128",
		"2001:db8::/32":       "2001:db8::/32",
		"::ffff:10.0.0.1":     "10.0.0.1/32",
		"::ffff:10.0.0.0/104": "10.0.0.0/8",
	} {
		if got, err := parsePrefix(text); got.String() != want || err != nil {
			t.Errorf("parsePrefix(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "10.0.0.1/8", "10.0.0.0/33", "10.0.0", "fe80::1%eth0", "fe80::%eth0/64", "::ffff:10.0.0.0/90", "a"} {
		if got, err := parsePrefix(text); err == nil {
			t.Errorf("parsePrefix(%q) = %v, want an error", text, got)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"name", "mode", "client_auth", "rsa-2048"}
	for word, want := range map[string]string{
		"nam": "name", "Mode": "mode", "mdoe": "mode", "clientAuth": "client_auth", "client-auth": "client_auth",
		"rsa2048": "rsa-2048", "x": "", "": "", "color": "",
	} {
		if got, _ := nearest(word, words); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestConflicts(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{":1", ":1", true},
		{":1", ":2", false},
		{":0", ":0", false},
		{":1", "127.0.0.1:1", true},
		{":1", "[::1]:1", true},
		{":1", "0.0.0.0:1", true},
		{":1", "[::]:1", true},
		{":1", "pacs:1", true},
		{"[::]:1", "127.0.0.1:1", false},
		{"[::]:1", "[::1]:1", true},
		{"[::]:1", "[fd00::1]:1", true},
		{"0.0.0.0:1", "[fd00::1]:1", false},
		{"0.0.0.0:1", "127.0.0.1:1", true},
		{"0.0.0.0:1", "[::ffff:127.0.0.1]:1", true},
		{"0.0.0.0:1", "[::1]:1", false},
		{"0.0.0.0:1", "[::]:1", false},
		{"0.0.0.0:1", "pacs:1", true},
		{"127.0.0.1:1", "127.0.0.2:1", false},
		{"127.0.0.1:1", "localhost:1", true},
		{"pacs:1", "PACS:1", true},
		{"pacs:1", "127.0.0.1:1", false},
	}
	for _, tt := range tests {
		a, errA := parseAddress(tt.a, "1")
		b, errB := parseAddress(tt.b, "1")
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		for _, pair := range [][2]address{{a, b}, {b, a}} {
			l := listeners{}
			l.add(pair[0], 7)
			if tunnel, got := l.conflict(pair[1]); got != tt.want || got && tunnel != 7 {
				t.Errorf("%v and %v: got %d, %v, want %v", pair[0], pair[1], tunnel, got, tt.want)
			}
		}
	}
}

func TestReaches(t *testing.T) {
	tests := []struct {
		target, listen string
		want           bool
	}{
		{"127.0.0.1:1", ":1", true},
		{"127.0.0.1:1", "127.0.0.1:1", true},
		{"localhost:1", "0.0.0.0:1", true},
		{"[::1]:1", "0.0.0.0:1", false},
		{"[::1]:1", "[::]:1", true},
		{"127.0.0.1:1", "[::]:1", false},
		{"[::1]:1", ":1", true},
		{"10.0.0.1:1", ":1", false}, // perhaps another machine
		{"10.0.0.1:1", "10.0.0.1:1", true},
		{"0.0.0.0:1", "0.0.0.0:1", true},
		{"0.0.0.0:1", "127.0.0.1:1", true},
		{"[::]:1", "[::1]:1", true},
		{"[::]:1", ":1", true},
		{"[::]:1", "127.0.0.1:1", false},
		{"pacs:1", "PACS:1", true},
		{"pacs:1", ":1", false},
		{"127.0.0.1:2", ":1", false},
		{"127.0.0.1:1", ":0", false},
	}
	for _, tt := range tests {
		target, errA := parseAddress(tt.target, "1")
		listen, errB := parseAddress(tt.listen, "1")
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if got := target.reaches(listen); got != tt.want {
			t.Errorf("%s to %s: got %v, want %v", tt.target, tt.listen, got, tt.want)
		}
	}
}
