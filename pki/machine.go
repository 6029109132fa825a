package pki

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"tlstunnel/internal/dn"
)

// machine has the names and addresses of this computer. Unknown fields are empty.
type machine struct {
	host string
	fqdn string
	ips  []netip.Addr
}

// fqdnTimeout limits the search for the fully qualified name: without a network it would wait
// long for DNS servers.
const fqdnTimeout = 2 * time.Second

// thisMachine is a variable so that tests run on a machine with known names.
var thisMachine = lookUpMachine

func lookUpMachine(ctx context.Context) machine {
	ctx, cancel := context.WithTimeout(ctx, fqdnTimeout)
	defer cancel()

	host, _ := os.Hostname()
	m := machine{host: host, fqdn: lookUpFQDN(ctx, host)}
	addrs, _ := net.InterfaceAddrs()
	for _, addr := range addrs {
		if prefix, err := netip.ParsePrefix(addr.String()); err == nil {
			m.ips = append(m.ips, prefix.Addr())
		}
	}
	return m
}

// commonName is never empty.
func (m machine) commonName() string {
	name := cmp.Or(m.fqdn, m.host)
	if len(name) > dn.MaxCommonName {
		name = m.host
	}
	return cmp.Or(truncate(name, dn.MaxCommonName), "localhost")
}

// subjectAltNames returns the names and addresses of the machine and the extra ones, sorted and
// each once. It leaves out what can't be in a certificate, so that the first run succeeds even
// with an odd host name.
func (m machine) subjectAltNames(extra []string) (names []string, ips []net.IP) {
	short, _, _ := strings.Cut(m.host, ".")
	var addrs []netip.Addr
	for _, name := range append([]string{"localhost", m.host, short, m.fqdn}, extra...) {
		if addr, err := netip.ParseAddr(name); err == nil {
			addrs = append(addrs, addr)
		} else if isDNSName(name) {
			names = append(names, strings.ToLower(name))
		}
	}
	slices.Sort(names)

	addrs = append(addrs, m.ips...)
	addrs = append(addrs, netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback())
	for i, addr := range addrs {
		addrs[i] = addr.Unmap().WithZone("")
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	for _, addr := range slices.Compact(addrs) {
		if !addr.IsMulticast() && !addr.IsUnspecified() {
			ips = append(ips, addr.AsSlice())
		}
	}
	return slices.Compact(names), ips
}

func isIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// isDNSName reports whether s can be a DNS name in a certificate. It accepts underscores, and a
// wildcard as the first label.
func isDNSName(s string) bool {
	s = strings.TrimPrefix(s, "*.")
	if len(s) > 253 { // RFC 1035, section 2.3.4
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || strings.ContainsFunc(label, isNoNameCharacter) {
			return false
		}
	}
	return true
}

func isNoNameCharacter(r rune) bool {
	return isNoLetter(r) && (r < '0' || r > '9') && r != '-' && r != '_'
}

func isControl(r rune) bool { return !unicode.IsPrint(r) }

func isNoLetter(r rune) bool { return r > unicode.MaxASCII || !unicode.IsLetter(r) }

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// truncate removes unprintable characters and shortens the rest to at most max characters.
func truncate(s string, max int) string {
	printable := strings.Map(func(r rune) rune {
		if isControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	runes := []rune(printable)
	return string(runes[:min(len(runes), max)])
}
