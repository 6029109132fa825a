//go:build linux

package interop

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// pythonRounds is how often a Python client asks and waits for the answer.
const pythonRounds = 25

// startPythonServer starts testdata/server.py, with TLS if there is a pair.
func startPythonServer(t *testing.T, pair ...string) (p *program, port string) {
	t.Helper()
	p = start(t, exec.Command(need(t, "python3"), append([]string{"testdata/server.py"}, pair...)...))
	_, port, err := net.SplitHostPort(p.waitFor(t, `listening at (\S+)\n`)[1])
	if err != nil {
		t.Fatal(err)
	}
	return p, port
}

// runPythonClient runs testdata/client.py, with TLS if there is a CA file. It
// connects by the name localhost.
func runPythonClient(t *testing.T, address string, ca ...string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, "python3", append([]string{"testdata/client.py", "localhost", port, fmt.Sprint(pythonRounds)}, ca...)...)
}

func TestPythonTLSClient(t *testing.T) {
	t.Parallel()
	server, port := startPythonServer(t)
	tun := startServer(t, "127.0.0.1:"+port)
	for range 3 { // the server takes the next connection only after the end of this one
		output := runPythonClient(t, tun.addr, tun.ca())
		if !strings.Contains(output, "tls TLSv1.3\n") {
			t.Errorf("client.py wrote %q, want TLS 1.3", output)
		}
		r := tun.wantClosed(t)
		if r.EndedBy != "peer" || r.Reason != "end of stream without close_notify" {
			t.Errorf("log of the connection: got %+v, want that the peer ended without close_notify", r)
		}
	}
	server.waitUntil(t, "three ends of stream", endsOfStream(3))
}

func TestPythonTLSServer(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "Clinic CA")
	pair := ca.issue(t, "server", "DNS:localhost")
	server, port := startPythonServer(t, pair.cert, pair.key)
	tun := startClient(t, "localhost:"+port, ca.cert)
	for range 3 {
		runPythonClient(t, tun.addr)
		if r := tun.wantClosed(t); r.EndedBy != "peer" {
			t.Errorf("log of the connection: got %+v, want it ended by the peer", r)
		}
	}
	server.waitUntil(t, "three ends of stream", endsOfStream(3))
}

// The two scripts of the tutorial, without TLS of their own, talk through a client tunnel and
// a server tunnel.
func TestPythonPlainBothEnds(t *testing.T) {
	t.Parallel()
	server, port := startPythonServer(t)
	tuns := startPair(t, "127.0.0.1:"+port)
	for range 3 {
		runPythonClient(t, tuns.client.addr)
		tuns.wantClosed(t)
	}
	server.waitUntil(t, "three ends of stream", endsOfStream(3))
}

func TestPythonClientRefusesUnknownCA(t *testing.T) {
	t.Parallel()
	other := newAuthority(t, "Other CA")
	_, port := startPythonServer(t)
	tun := startServer(t, "127.0.0.1:"+port)
	_, listen, _ := net.SplitHostPort(tun.addr)
	output, err := try(t, "python3", "testdata/client.py", "localhost", listen, "1", other.cert)
	if err == nil || !strings.Contains(output, "CERTIFICATE_VERIFY_FAILED") {
		t.Errorf("client.py: got %v and\n%s", err, output)
	}
	tun.wantFailed(t, handshakeFailed, "refused tlstunnel's certificate", "it doesn't trust", "tlstunnel CA")
}

// endsOfStream is a condition for [program.waitUntil].
func endsOfStream(n int) func(output string) bool {
	want := fmt.Sprintf("end of stream after %d\n", pythonRounds)
	return func(output string) bool { return strings.Count(output, want) == n }
}
