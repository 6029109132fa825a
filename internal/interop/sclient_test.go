//go:build linux

package interop

import (
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// talkSClient connects openssl's client to address, has a line echoed, closes
// and returns all that the client wrote. The options are those of s_client.
func talkSClient(t *testing.T, address string, options ...string) string {
	t.Helper()
	p, stdin := startSClient(t, address, options...)
	defer stdin.Close()
	// s_client writes what it receives into the middle of its own output.
	const line = "marco polo\n"
	if _, err := io.WriteString(stdin, line); err != nil {
		t.Fatal(err)
	}
	p.waitFor(t, line)
	stdin.Close()
	p.waitExit(t)
	return p.output.String()
}

func startSClient(t *testing.T, address string, options ...string) (*program, io.WriteCloser) {
	t.Helper()
	// Without -nocommands, s_client takes a line that begins with Q or R for a command to
	// itself.
	cmd := exec.Command(need(t, "openssl"), append([]string{"s_client", "-connect", address, "-nocommands"}, options...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, cmd), stdin
}

// verifying are the options for a client that verifies everything it can.
func verifying(ca, name string) []string {
	return []string{"-CAfile", ca, "-verify_return_error", "-verify_hostname", name}
}

func TestSClientVerifies(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	tun := startServer(t, startEcho(t))
	for _, test := range []struct{ option, version, logged string }{
		{"-tls1_3", "TLSv1.3", "TLS 1.3"},
		{"-tls1_2", "TLSv1.2", "TLS 1.2"},
	} {
		t.Run(test.version, func(t *testing.T) {
			output := talkSClient(t, tun.addr, append(verifying(tun.ca(), "localhost"), test.option)...)
			for _, want := range []string{"Verify return code: 0 (ok)", "New, " + test.version} {
				if !strings.Contains(output, want) {
					t.Errorf("s_client didn't write %q:\n%s", want, output)
				}
			}
			r := tun.wantClosed(t)
			if r.TLS != test.logged || r.Resumed || r.ToTarget != 11 || r.ToPeer != 11 {
				t.Errorf("log of the connection: got %+v, want %s, not resumed, 11 bytes each way", r, test.logged)
			}
		})
	}
}

// A client that verifies must be able to refuse us, too. That shows that the test above can
// fail.
func TestSClientRefusesOurName(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	for _, version := range []string{"-tls1_3", "-tls1_2"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			tun := startServer(t, startEcho(t))
			output, err := try(t, "openssl", append([]string{"s_client", "-connect", tun.addr, version},
				verifying(tun.ca(), "other.example")...)...)
			if err == nil || !strings.Contains(output, "hostname mismatch") {
				t.Errorf("s_client: got %v and\n%s", err, output)
			}
			tun.wantFailed(t, handshakeFailed, "refused tlstunnel's certificate")
		})
	}
}

func TestSClientTLS11IsRefused(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	tun := startServer(t, startEcho(t))
	// At its default security level, s_client would not even send a hello.
	output, err := try(t, "openssl", "s_client", "-connect", tun.addr, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
	if err == nil || !strings.Contains(output, "alert protocol version") {
		t.Errorf("s_client: got %v and\n%s", err, output)
	}
	tun.wantFailed(t, handshakeFailed, "only versions of TLS older than this tunnel's profile allows")
}

func TestSClientResumes(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	for _, version := range []string{"-tls1_3", "-tls1_2"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			tun := startServer(t, startEcho(t))
			session := filepath.Join(t.TempDir(), "session")
			options := append(verifying(tun.ca(), "localhost"), version)

			talkSClient(t, tun.addr, append(options, "-sess_out", session)...)
			if r := tun.wantClosed(t); r.Resumed {
				t.Errorf("the first connection is logged as resumed: %+v", r)
			}
			output := talkSClient(t, tun.addr, append(options, "-sess_in", session)...)
			if !strings.Contains(output, "\nReused, ") {
				t.Errorf("s_client didn't resume:\n%s", output)
			}
			if r := tun.wantClosed(t); !r.Resumed {
				t.Errorf("the second connection isn't logged as resumed: %+v", r)
			}
		})
	}
}

func TestSClientCertificateRequired(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	ours, others := newAuthority(t, "Clinic CA"), newAuthority(t, "Other CA")
	good, bad := ours.issue(t, "modality-7"), others.issue(t, "modality-8")
	tun := startServer(t, startEcho(t), `client_auth = "require"`, fmt.Sprintf("client_ca = [%q]", ours.cert))
	for _, version := range []string{"-tls1_3", "-tls1_2"} {
		options := append(verifying(tun.ca(), "localhost"), version)

		t.Run(version+" with one", func(t *testing.T) {
			talkSClient(t, tun.addr, append(options, "-cert", good.cert, "-key", good.key)...)
			if r := tun.wantClosed(t); r.Identity != "CN=modality-7" {
				t.Errorf("log of the connection: got identity %q, want that of the certificate", r.Identity)
			}
		})
		t.Run(version+" without", func(t *testing.T) {
			wantSClientRefused(t, tun.addr, options...)
			tun.wantFailed(t, handshakeFailed, "client_auth requires one")
		})
		t.Run(version+" of another CA", func(t *testing.T) {
			wantSClientRefused(t, tun.addr, append(options, "-cert", bad.cert, "-key", bad.key)...)
			tun.wantFailed(t, handshakeFailed, `"CN=Other CA"`, "add its certificate to client_ca")
		})
	}
}

// wantSClientRefused checks that the server ends TLS with an alert. In TLS 1.3
// the client learns of it only when it reads, so its input stays open.
func wantSClientRefused(t *testing.T, address string, options ...string) {
	t.Helper()
	p, stdin := startSClient(t, address, options...)
	defer stdin.Close()
	// The alerts are handshake_failure (TLS 1.2 has no other), bad_certificate, unknown_ca
	// and certificate_required.
	p.waitFor(t, `SSL alert number (40|42|48|116)`)
}

func TestFirstRunPKI(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	tun := startServer(t, startEcho(t))
	run(t, "openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "localhost",
		"-CAfile", tun.ca(), tun.pki("server.crt"))
	run(t, "openssl", "verify", "-x509_strict", "-CAfile", tun.ca(), tun.ca())

	text := run(t, "openssl", "x509", "-noout", "-text", "-in", tun.pki("server.crt"))
	for _, want := range []string{
		"DNS:localhost", "DNS:pacs.clinic.example", "IP Address:127.0.0.1", "IP Address:192.0.2.7", // pki.names too
		"TLS Web Server Authentication", "CA:FALSE",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("openssl doesn't see %q in server.crt:\n%s", want, text)
		}
	}
	for _, name := range []string{"ca", "server"} {
		certKey := run(t, "openssl", "x509", "-noout", "-pubkey", "-in", tun.pki(name+".crt"))
		key := run(t, "openssl", "pkey", "-pubout", "-in", tun.pki(name+".key"))
		if certKey != key {
			t.Errorf("openssl reads other keys from %s.crt and %s.key:\n%s%s", name, name, certKey, key)
		}
	}
}
