//go:build linux

package interop

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// startStunnel starts stunnel with one service, which has the given lines, and
// returns its port.
func startStunnel(t *testing.T, lines ...string) (p *program, port string) {
	t.Helper()
	stunnel := need(t, "stunnel")
	config := writeFile(t, t.TempDir(), "stunnel.conf", `
foreground = yes
pid =
syslog = no
debug = info

[interop]
accept = 127.0.0.1:0
`+strings.Join(lines, "\n")+"\n")
	p = start(t, exec.Command(stunnel, config))
	return p, p.waitFor(t, `bound to 127\.0\.0\.1:(\d+)\n`)[1]
}

// stunnelVersions are the lines that restrict stunnel to one TLS version, because TLS 1.2 and
// 1.3 end a stream differently.
var stunnelVersions = map[string]string{"TLS 1.3": "sslVersionMin = TLSv1.3", "TLS 1.2": "sslVersionMax = TLSv1.2"}

func TestStunnelClient(t *testing.T) {
	t.Parallel()
	for version, line := range stunnelVersions {
		for name, talk := range talks {
			t.Run(version+" "+name, func(t *testing.T) {
				t.Parallel()
				talk := startTalk(t, talk, true, false)
				tun := startServer(t, talk.server.addr)
				_, port := startStunnel(t, "client = yes", "connect = "+tun.addr, line,
					"verifyChain = yes", "CAfile = "+tun.ca(), "checkHost = localhost")
				talk.do(t, "127.0.0.1:"+port)
				wantBlobBothWays(t, tun, version)
			})
		}
	}
}

func TestStunnelServer(t *testing.T) {
	t.Parallel()
	need(t, "stunnel")
	ca := newAuthority(t, "Clinic CA")
	pair := ca.issue(t, "pacs", "DNS:localhost")
	for version, line := range stunnelVersions {
		for name, talk := range talks {
			t.Run(version+" "+name, func(t *testing.T) {
				t.Parallel()
				talk := startTalk(t, talk, false, true)
				_, port := startStunnel(t, "connect = "+talk.server.addr, line,
					"cert = "+pair.cert, "key = "+pair.key)
				tun := startClient(t, "localhost:"+port, ca.cert)
				talk.do(t, tun.addr)
				wantBlobBothWays(t, tun, version)
			})
		}
	}
}

func wantBlobBothWays(t *testing.T, tun *tunnel, version string) {
	t.Helper()
	r := tun.wantClosed(t)
	if n := int64(len(blob)); r.TLS != version || r.ToTarget != n || r.ToPeer != n {
		t.Errorf("log of the connection: got %+v, want %s and %d bytes each way", r, version, n)
	}
}

// Both ends verify: stunnel verifies our certificate, and we verify stunnel's.
func TestStunnelClientCertificate(t *testing.T) {
	t.Parallel()
	need(t, "stunnel")
	ca := newAuthority(t, "Clinic CA")
	pair := ca.issue(t, "modality-7")
	tun := startServer(t, startEcho(t), `client_auth = "require"`, fmt.Sprintf("client_ca = [%q]", ca.cert))
	_, port := startStunnel(t, "client = yes", "connect = "+tun.addr,
		"verifyChain = yes", "CAfile = "+tun.ca(), "checkHost = localhost",
		"cert = "+pair.cert, "key = "+pair.key)
	c := dialPlain(t, "127.0.0.1:"+port)
	ask(t, c, "marco\n", "marco\n")
	c.Close()
	if r := tun.wantClosed(t); r.Identity != "CN=modality-7" {
		t.Errorf("log of the connection: got %+v, want the identity of stunnel's certificate", r)
	}
}

func TestStunnelRefusesOurCertificate(t *testing.T) {
	t.Parallel()
	need(t, "stunnel")
	for version, line := range stunnelVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			tun := startServer(t, startEcho(t))
			_, port := startStunnel(t, "client = yes", "connect = "+tun.addr, line,
				"verifyChain = yes", "CAfile = "+newAuthority(t, "Other CA").cert)
			wantNoService(t, net.JoinHostPort("127.0.0.1", port))
			tun.wantFailed(t, handshakeFailed, "refused tlstunnel's certificate", "tlstunnel CA")
		})
	}
}
