package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// An address is a host:port of the config, split into its parts.
type address struct {
	host string // empty: every address
	port int
}

// parseAddress reads a host:port. The advice in an error shows the port example. The error is
// the end of a sentence that begins with the text: "is only a port".
func parseAddress(text, example string) (address, error) {
	if isSocketPath(text) {
		return address{}, fmt.Errorf("is a unix socket or a named pipe, and tlstunnel supports only TCP yet: write an address such as %q", "127.0.0.1:"+example)
	}
	if host, port, ok := cutURL(text); ok && port != "" {
		return address{}, fmt.Errorf("is a URL: write %q", net.JoinHostPort(host, port))
	} else if ok {
		return address{}, fmt.Errorf("is a URL: write its host and the port, such as %q", net.JoinHostPort(host, example))
	}
	if _, err := strconv.Atoi(text); err == nil {
		return address{}, fmt.Errorf("is only a port: write %q", ":"+text)
	}
	if host, port, ok := cutAtSeparator(text); ok {
		return address{}, fmt.Errorf("has no colon before the port: write %q", net.JoinHostPort(host, port))
	}
	if strings.ContainsAny(text, separators) && strings.Count(text, ":") != 1 {
		return address{}, fmt.Errorf("is no address: write one such as %q", "127.0.0.1:"+example)
	}
	if strings.Count(text, ":") > 1 && !strings.HasPrefix(text, "[") {
		return address{}, fmt.Errorf("has an IPv6 address without brackets: write one such as %q", addBrackets(text, example))
	}
	if !strings.Contains(text, ":") || strings.HasSuffix(text, "]") {
		return address{}, fmt.Errorf("has no port: write one such as %q", text+":"+example)
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return address{}, fmt.Errorf("is no address: write one such as %q", "127.0.0.1:"+example)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return address{}, fmt.Errorf("has no port number from 0 to 65535 behind the colon: write one such as %q",
			net.JoinHostPort(host, example))
	}
	if host == "*" {
		return address{}, fmt.Errorf("has a *: for every address write %q", ":"+port)
	}
	if _, err := netip.ParseAddr(host); host != "" && err != nil {
		if err := checkDNSName(withoutDot(host)); err != nil {
			return address{}, fmt.Errorf("has the host %q, which %w", host, err)
		}
	}
	return address{host, int(n)}, nil
}

// isSocketPath reports whether text is a unix socket in the config of another program, or a
// named pipe of Windows.
func isSocketPath(text string) bool {
	for _, prefix := range []string{"unix:", "unix-connect:", "/", "./", "../", "~/", "@", `\\.\pipe\`} {
		if strings.HasPrefix(strings.ToLower(text), prefix) {
			return true
		}
	}
	return strings.HasSuffix(text, ".sock") || strings.HasSuffix(text, ".socket")
}

// cutURL returns the host and port of a URL. Each of them may be empty.
func cutURL(text string) (host, port string, ok bool) {
	_, rest, ok := strings.Cut(text, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:] // it may begin with a user and password
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return strings.Trim(rest, "[]"), "", ok
	}
	return host, port, ok
}

// separators can stand between two addresses, but not within an address.
const separators = ",; \t"

// cutAtSeparator returns the host and port of an address that has another separator than a
// colon between them: "127.0.0.1,104".
func cutAtSeparator(text string) (host, port string, ok bool) {
	i := strings.LastIndexAny(text, separators)
	if i < 0 {
		return "", "", false
	}
	host = strings.Trim(strings.TrimRight(text[:i], separators), "[]")
	port = text[i+1:]
	_, err := strconv.ParseUint(port, 10, 16)
	return host, port, err == nil && checkHost(host) == nil
}

// addBrackets guesses which address a user means by an IPv6 address without brackets. Its last
// part may be the port.
func addBrackets(text, example string) string {
	i := strings.LastIndexByte(text, ':')
	if _, err := netip.ParseAddr(text[:i]); err == nil {
		return "[" + text[:i] + "]" + text[i:]
	}
	return "[" + text + "]:" + example
}

// ip is the host as an IP address. It is invalid for a name, and for an empty host.
func (a address) ip() netip.Addr {
	if strings.ToLower(withoutDot(a.host)) == "localhost" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	ip, _ := netip.ParseAddr(a.host)
	return ip.Unmap()
}

func (a address) loopback() bool { return a.ip().IsLoopback() }

// canonicalHost returns the same text for different spellings of an address or a name.
func (a address) canonicalHost() string {
	if ip := a.ip(); ip.IsValid() {
		return ip.String()
	}
	return strings.ToLower(withoutDot(a.host))
}

// withoutDot returns a DNS name without the dot at its end. The dot keeps the resolver from
// adding a search domain. Certificates and TLS have names without it.
func withoutDot(name string) string { return strings.TrimSuffix(name, ".") }

// reaches reports whether a connection to a arrives at the listener b on this machine, as far as
// the texts show.
func (a address) reaches(b address) bool {
	l := listeners{}
	l.add(b, 0)
	_, ok := l.reached(a)
	return ok
}

// checkDNSName returns what is wrong with a host name. It accepts underscores: they are common
// inside company networks.
func checkDNSName(name string) error {
	if len(name) > 253 {
		return fmt.Errorf("is longer than the 253 characters of a DNS name")
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(c rune) bool { return !bareKeyChar(c) }) {
			return fmt.Errorf("is no DNS name: write one such as %q (international names in their xn-- form)", "pacs.clinic.example")
		}
	}
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return fmt.Errorf("is neither an IP address nor a DNS name")
	}
	return nil
}

// checkHost returns what is wrong with a DNS name or IP address.
func checkHost(host string) error {
	if addr, err := netip.ParseAddr(host); err == nil && addr.Zone() == "" {
		return nil
	}
	if bare, _, ok := cutURL(host); ok && checkHost(strings.TrimPrefix(bare, "*.")) == nil {
		return fmt.Errorf("is a URL: write %q", bare)
	} else if ok {
		return fmt.Errorf("is a URL: write a DNS name or IP address, such as %q", "pacs.clinic.example")
	}
	if bare, _, err := net.SplitHostPort(host); err == nil {
		return fmt.Errorf("has a port: write %q", bare)
	}
	return checkDNSName(host)
}
