//go:build linux

package interop

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// below makes a CA that a has signed.
func (a authority) below(t *testing.T, name string) authority {
	t.Helper()
	ca := newAuthority(t, name)
	request := filepath.Join(ca.dir, "ca.csr")
	run(t, "openssl", "x509", "-x509toreq", "-in", ca.cert, "-signkey", ca.key, "-out", request)
	a.sign(t, request, ca.cert, "basicConstraints = critical,CA:TRUE\n")
	return ca
}

func (a authority) sign(t *testing.T, request, out, extensions string, options ...string) {
	t.Helper()
	run(t, "openssl", append([]string{"x509", "-req", "-in", request, "-CA", a.cert, "-CAkey", a.key, "-days", "1", "-out", out,
		"-extfile", writeFile(t, t.TempDir(), "extensions", extensions)}, options...)...)
}

// join concatenates files into another one.
func join(t *testing.T, files ...string) string {
	t.Helper()
	var all []byte
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return writeFile(t, t.TempDir(), "joined.pem", string(all))
}

// TestChainOfSServer: if the root is in ca, the reason never blames the root.
func TestChainOfSServer(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	root := newAuthority(t, "Root")
	issuing, before := root.below(t, "Issuing 1"), root.below(t, "Issuing 1")
	leaf := issuing.issue(t, "localhost", "DNS:localhost")
	sha1 := root.issue(t, "localhost", "DNS:localhost")
	request := filepath.Join(t.TempDir(), "leaf.csr")
	run(t, "openssl", "x509", "-x509toreq", "-in", sha1.cert, "-signkey", sha1.key, "-out", request)
	root.sign(t, request, sha1.cert, "subjectAltName = DNS:localhost\n", "-sha1")
	inShow := strings.NewReplacer("the target's", "the server's", " of this tunnel", "")
	const missing = `the certificate of "CN=Issuing 1", which issued "CN=localhost", wasn't sent`
	for name, test := range map[string]struct {
		pair   keyPair
		chain  string
		reason []string
	}{
		"without the CA in between": {leaf, root.cert, []string{missing + ": the target's administrator adds it to the file of its certificate, or you add it to ca of this tunnel"}},
		"with the CA of before":     {leaf, join(t, before.cert, root.cert), []string{missing, "one of the same name with another key"}},
		"signed with SHA-1":         {sha1, root.cert, []string{`"CN=localhost" is signed with SHA-1`, "which isn't accepted: have it issued anew"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, address := startSServer(t, test.pair, "-cert_chain", test.chain, "-cipher", "DEFAULT@SECLEVEL=0")
			tun := startClient(t, address, root.cert)
			wantNoService(t, tun.addr)
			r := tun.wantFailed(t, targetFailed, test.reason...)
			if strings.Contains(r.Reason, `the CA "CN=Root"`) {
				t.Errorf("the root is accused: %s", r.Reason)
			}
			cmd := exec.Command(executable(t), "cert", "show", address, "--ca", root.cert)
			cmd.Env = append(os.Environ(), asTlstunnel+"=1")
			shown, err := cmd.Output()
			if err != nil || !strings.Contains(string(shown), inShow.Replace(test.reason[0])) {
				t.Errorf("cert show: %v\n%s", err, shown)
			}
		})
	}
}

// TestSClientOfOneKind: if a device accepts only RSA, the reason says so.
func TestSClientOfOneKind(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	tun := startServer(t, startEcho(t))
	for _, options := range [][]string{
		{"-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"},
		{"-tls1_2", "-sigalgs", "RSA+SHA256"},
		{"-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"},
	} {
		if output, err := try(t, "openssl", append([]string{"s_client", "-connect", tun.addr}, options...)...); err == nil {
			t.Errorf("%q: s_client was let in:\n%s", options, output)
		}
		tun.wantFailed(t, handshakeFailed, "the peer takes only certificates with an RSA key, and this tunnel's has an ECDSA key",
			"set cert and key to one with an RSA key, from a CA whose key is RSA too")
	}
	ca := newAuthority(t, "Clinic CA")
	pair := ca.issue(t, "localhost", "DNS:localhost") // RSA
	tun = startServer(t, startEcho(t), fmt.Sprintf("cert = %q", join(t, pair.key, pair.cert, ca.cert)))
	if output, err := try(t, "openssl", "s_client", "-connect", tun.addr, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"); err == nil {
		t.Errorf("s_client was let in:\n%s", output)
	}
	tun.wantFailed(t, handshakeFailed, "this tunnel's has an RSA key", "ECDSA")
}

func TestSClientNameWithDot(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	tun := startServer(t, startEcho(t))
	if output, err := try(t, "openssl", "s_client", "-connect", tun.addr, "-servername", "localhost."); err == nil {
		t.Errorf("s_client was let in:\n%s", output)
	}
	tun.wantFailed(t, handshakeFailed, `the name "localhost.", with a dot at its end`, "leave the dot out")
}

// TestSServerRefusesOurs: the reason doesn't ask for what is set already. What our own file
// shows comes before guesses.
func TestSServerRefusesOurs(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	ca, others := newAuthority(t, "Clinic CA"), newAuthority(t, "Other CA")
	stranger, serverOnly := others.issue(t, "modality-8"), ca.issue(t, "modality-7")
	request := filepath.Join(t.TempDir(), "leaf.csr")
	run(t, "openssl", "x509", "-x509toreq", "-in", serverOnly.cert, "-signkey", serverOnly.key, "-out", request)
	ca.sign(t, request, serverOnly.cert, "extendedKeyUsage = serverAuth\n")
	for name, test := range map[string]struct {
		pair   keyPair
		reason []string
	}{
		"of another CA":    {stranger, []string{`from one of its CAs, "CN=Clinic CA"; ours is from the CA "CN=Other CA"`, "so it wasn't sent"}},
		"for servers only": {serverOnly, []string{`the target refused tlstunnel's certificate: "CN=modality-7" isn't meant for TLS clients`}},
	} {
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			t.Run(name+" "+version, func(t *testing.T) {
				t.Parallel()
				_, address := startSServer(t, ca.issue(t, "localhost", "DNS:localhost"), version, "-Verify", "1", "-verify_return_error", "-CAfile", ca.cert)
				tun := startClient(t, address, ca.cert, fmt.Sprintf("cert = %q", test.pair.cert), fmt.Sprintf("key = %q", test.pair.key))
				wantNoService(t, tun.addr)
				r := tun.connection(t)
				for _, text := range test.reason {
					if !strings.Contains(r.Reason, text) {
						t.Errorf("got %+v, want %q", r, text)
					}
				}
			})
		}
	}
}

// TestTargetIsSServer: the target of a server tunnel is a port that speaks TLS itself.
func TestTargetIsSServer(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	ca := newAuthority(t, "Clinic CA")
	_, address := startSServer(t, ca.issue(t, "localhost", "DNS:localhost"))
	tun := startPair(t, address)
	c := dialPlain(t, tun.client.addr)
	if _, err := io.WriteString(c, "a line that isn't TLS\n"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(c)
	c.Close()
	for _, r := range []record{tun.server.connection(t), tun.client.connection(t)} {
		if r.Level != "WARN" || !strings.Contains(r.Reason, "speaks TLS itself") || !strings.Contains(r.Reason, "plain port") {
			t.Errorf("got %+v", r)
		}
	}
}

// TestBigHello: a firewall drops the large first message, and the remedy in the log helps.
func TestBigHello(t *testing.T) {
	need(t, "openssl")
	ca := newAuthority(t, "Clinic CA")
	_, server := startSServer(t, ca.issue(t, "localhost", "DNS:localhost"))
	firewall := byName(t, startPlain(t, func(c *net.TCPConn) error {
		const most = 1400
		hello := make([]byte, 4096)
		n, err := c.Read(hello)
		if err != nil || n > most {
			_, err = io.Copy(io.Discard, c) // the client's handshake_timeout ends it
			return err
		}
		onward, err := net.Dial("tcp", server)
		if err != nil {
			return err
		}
		defer onward.Close()
		if _, err := onward.Write(hello[:n]); err != nil {
			return err
		}
		go func() { _, _ = io.Copy(onward, c); _ = onward.(*net.TCPConn).CloseWrite() }()
		_, err = io.Copy(c, onward)
		return err
	}).addr)

	tun := startClient(t, firewall, ca.cert, `handshake_timeout = "500ms"`)
	wantNoService(t, tun.addr)
	tun.wantFailed(t, targetFailed, "lose or refuse a first message as large as ours", "GODEBUG=tlsmlkem=0")

	t.Setenv("GODEBUG", "tlsmlkem=0")
	tun = startClient(t, firewall, ca.cert)
	c := dialPlain(t, tun.addr)
	ask(t, c, "marco\n", "ocram\n")
	c.Close()
	tun.wantClosed(t)
}

// TestFirewallRejects: a router rejects as firewalls do, with "administratively prohibited"
// of ICMP and ICMPv6, and so does a rule of this machine. All of it is in a network namespace
// of the test's own.
func TestFirewallRejects(t *testing.T) {
	t.Parallel()
	need(t, "ip")
	if output, err := try(t, "unshare", "-Urn", "true"); err != nil {
		t.Skipf("no network of one's own: %v: %s", err, output)
	}
	targets := map[string]string{
		"icmp":   "198.51.100.1",
		"icmpv6": "[2001:db8:10::1]",
		"local":  "203.0.113.1",
	}
	tunnels, port, connect := "", 1000, ""
	for name, host := range targets {
		port++
		tunnels += fmt.Sprintf("[[tunnel]]\nname = %q\nmode = \"client\"\nlisten = \"127.0.0.1:%d\"\ntarget = \"%s:2762\"\n", name, port, host)
		connect += fmt.Sprintf("until exec 3<>/dev/tcp/127.0.0.1/%d; do sleep 0.05; done 2>/dev/null; cat <&3 2>/dev/null; exec 3<&-\n", port)
	}
	config := writeFile(t, t.TempDir(), "config.toml", "[log]\nformat = \"json\"\nfile = \"-\"\n[pki]\ndir = \"pki\"\n"+tunnels)
	const network = `set -e
ip link set lo up
unshare -n sleep 60 & router=$!
until [ "$(readlink /proc/$router/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.02; done
ip link add inside type veth peer name outside netns $router
ip address add 192.0.2.1/24 dev inside
ip address add 2001:db8:1::1/64 dev inside nodad
ip link set inside up
nsenter -t $router -n sh -ec '
	ip link set lo up
	ip address add 192.0.2.2/24 dev outside
	ip address add 2001:db8:1::2/64 dev outside nodad
	ip link set outside up
	echo 1 >/proc/sys/net/ipv4/ip_forward
	echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
	ip route add prohibit 198.51.100.1
	ip route add prohibit 2001:db8:10::1'
ip route add 198.51.100.1 via 192.0.2.2
ip route add 2001:db8:10::1 via 2001:db8:1::2
ip route add prohibit 203.0.113.1
"$0" run --config "$1" & tlstunnel=$!
set +e
`
	cmd := exec.Command("unshare", "-Urn", "bash", "-c", network+connect+"kill $tlstunnel; wait $tlstunnel; kill $router", executable(t), config)
	cmd.Env = append(os.Environ(), asTlstunnel+"=1")
	p := start(t, cmd)
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
	reasons := map[string]string{}
	for line := range strings.Lines(p.output.String()) {
		var r record
		if json.Unmarshal([]byte(line), &r) == nil && r.Msg == targetFailed {
			reasons[r.Tunnel] = r.Reason
		}
	}
	for name, want := range map[string]string{
		"icmp":   "a firewall on the way rejects",
		"icmpv6": "connecting to the target is forbidden, by a firewall on the way or a rule of this machine",
		"local":  "connecting to the target is forbidden, by a firewall on the way or a rule of this machine",
	} {
		if !strings.Contains(reasons[name], want) {
			t.Errorf("%s: got %q, want %q", name, reasons[name], want)
		}
	}
}
