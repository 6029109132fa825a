//go:build linux

package interop

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startSServer starts openssl's server, which reverses each line that it gets,
// and returns its address by the name localhost.
func startSServer(t *testing.T, pair keyPair, options ...string) (p *program, address string) {
	t.Helper()
	p = start(t, exec.Command(need(t, "openssl"), append([]string{"s_server", "-rev",
		"-accept", "127.0.0.1:0", "-cert", pair.cert, "-key", pair.key}, options...)...))
	return p, byName(t, p.waitFor(t, `ACCEPT (\S+)\n`)[1])
}

func TestSServer(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	ca := newAuthority(t, "Clinic CA")
	pair := ca.issue(t, "pacs", "DNS:localhost", "IP:127.0.0.1")
	for _, test := range []struct{ option, logged string }{
		{"-tls1_3", "TLS 1.3"},
		{"-tls1_2", "TLS 1.2"},
	} {
		t.Run(test.logged, func(t *testing.T) {
			t.Parallel()
			_, address := startSServer(t, pair, test.option)
			tun := startClient(t, address, ca.cert)
			c := dialPlain(t, tun.addr)
			ask(t, c, "marco\n", "ocram\n")
			ask(t, c, "Quit\n", "tiuQ\n")
			c.Close()
			if r := tun.wantClosed(t); r.TLS != test.logged {
				t.Errorf("log of the connection: got %+v, want %s", r, test.logged)
			}
		})
	}
}

func TestSServerNameByServerName(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	ca := newAuthority(t, "Clinic CA")
	_, address := startSServer(t, ca.issue(t, "pacs", "DNS:pacs.clinic.example"))
	tun := startClient(t, address, ca.cert, `server_name = "pacs.clinic.example"`)
	c := dialPlain(t, tun.addr)
	ask(t, c, "marco\n", "ocram\n")
	c.Close()
	tun.wantClosed(t)
}

// TestSServerCertificateUnknown: Go can't read these certificates. If the server has a
// brainpool key, it says only that the two sides have nothing in common.
func TestSServerCertificateUnknown(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	ca := newAuthority(t, "Clinic CA")
	for _, test := range []struct {
		name, reason string
		options      []string
	}{
		{"brainpool", "a key that Go doesn't know, as those on brainpool curves", []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"}},
		{"negative serial", "it has a negative serial number, which RFC 5280 forbids", []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-set_serial", "-5"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			pair := keyPair{cert: filepath.Join(dir, "odd.crt"), key: filepath.Join(dir, "odd.key")}
			run(t, "openssl", append([]string{"req", "-x509", "-nodes", "-keyout", pair.key, "-out", pair.cert, "-days", "30",
				"-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"}, test.options...)...)
			_, address := startSServer(t, pair)
			tun := startClient(t, address, ca.cert)
			wantNoService(t, tun.addr)
			tun.wantFailed(t, targetFailed, test.reason)
		})
	}
}

func TestSServerCertificateRefused(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	ours, others := newAuthority(t, "Clinic CA"), newAuthority(t, "Other CA")
	day := func(n int) time.Time { return time.Now().AddDate(0, 0, n) }
	unknown := others.issue(t, "pacs", "DNS:localhost")
	for name, test := range map[string]struct {
		pair    keyPair
		options []string // of s_server
		reason  []string
	}{
		"wrong name": {
			ours.issue(t, "pacs", "DNS:pacs.clinic.example", "DNS:pacs2.clinic.example", "IP:192.0.2.7"), nil,
			[]string{`expected the name "localhost"`, `"pacs.clinic.example", "pacs2.clinic.example", 192.0.2.7`, "server_name"},
		},
		"no name": {
			ours.issue(t, "localhost"), nil,
			[]string{`expected the name "localhost"`, `no name at all`, `"CN=localhost"`},
		},
		"expired": {
			ours.issueFor(t, day(-30), day(-10), "pacs", "DNS:localhost"), nil,
			[]string{`"CN=pacs" is valid from`, day(-10).Local().Format("to 2006-01-02"), "renew it"},
		},
		"not valid yet": {
			ours.issueFor(t, day(10), day(30), "pacs", "DNS:localhost"), nil,
			[]string{`"CN=pacs" is valid from`, day(10).Local().Format("from 2006-01-02"), "clock"},
		},
		"unknown CA, sent along": {
			unknown, []string{"-cert_chain", others.cert},
			[]string{`"CN=Other CA"`, fingerprint(t, others.cert), "add its certificate to ca"},
		},
		"unknown CA, not sent": {
			unknown, nil,
			[]string{`"CN=Other CA"`, "wasn't sent and isn't trusted here", "add its certificate to ca"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, address := startSServer(t, test.pair, test.options...)
			tun := startClient(t, address, ours.cert)
			wantNoService(t, tun.addr)
			r := tun.wantFailed(t, targetFailed, append(test.reason, "tlstunnel refused the target's certificate")...)
			if r.Level != "WARN" || r.EndedBy != "tlstunnel" || r.Err == "" {
				t.Errorf("log of the connection: got %+v, want level WARN, ended by tlstunnel, and the error", r)
			}
		})
	}
}

// TestSServerPinned: the pin is made by the command in docs/peers.md. No CA vouches for the
// server.
func TestSServerPinned(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	ca := newAuthority(t, "Clinic CA")
	old := ca.issueFor(t, time.Now().AddDate(0, 0, -30), time.Now().AddDate(0, 0, -10), "old box")
	_, address := startSServer(t, old)
	client := func(pin string) *tunnel {
		return startTunnel(t, `mode = "client"`, fmt.Sprintf("target = %q", address), fmt.Sprintf("pins = %q", pin))
	}
	tun := client(pin(t, old.cert))
	c := dialPlain(t, tun.addr)
	ask(t, c, "marco\n", "ocram\n")
	c.Close()
	tun.wantClosed(t)

	tun = client(pin(t, ca.cert))
	wantNoService(t, tun.addr)
	tun.wantFailed(t, targetFailed, "its key is "+pin(t, old.cert)+", which isn't pinned", "which has "+pin(t, ca.cert))
}

func TestSServerWantsClientCertificate(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	ca := newAuthority(t, "Clinic CA")
	server, client := ca.issue(t, "pacs", "DNS:localhost"), ca.issue(t, "modality-7")
	for _, version := range []string{"-tls1_3", "-tls1_2"} {
		options := []string{version, "-Verify", "1", "-verify_return_error", "-CAfile", ca.cert}

		t.Run(version+" and gets it", func(t *testing.T) {
			t.Parallel()
			p, address := startSServer(t, server, options...)
			tun := startClient(t, address, ca.cert, fmt.Sprintf("cert = %q", client.cert), fmt.Sprintf("key = %q", client.key))
			c := dialPlain(t, tun.addr)
			ask(t, c, "marco\n", "ocram\n")
			c.Close()
			tun.wantClosed(t)
			if text := p.output.String(); !strings.Contains(text, "modality-7") {
				t.Errorf("s_server doesn't name the client:\n%s", text)
			}
		})
		t.Run(version+" and doesn't get it", func(t *testing.T) {
			t.Parallel()
			_, address := startSServer(t, server, options...)
			tun := startClient(t, address, ca.cert)
			wantNoService(t, tun.addr)
			r := tun.connection(t)
			// A TLS 1.3 client learns of the refusal only when it reads, after its handshake
			// has succeeded.
			if r.Msg != targetFailed && r.Msg != interrupted || !strings.Contains(r.Reason, "cert and key") {
				t.Errorf("log of the connection: got %+v, want a reason that says to set cert and key", r)
			}
		})
	}
}
