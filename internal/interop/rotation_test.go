//go:build linux

package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRotation rotates the CA of a running tunnel. Python and openssl, which trust
// only the one CA or only the other, connect between the stages.
func TestRotation(t *testing.T) {
	t.Parallel()
	_, port := startPythonServer(t)
	tun := startServer(t, "127.0.0.1:"+port)
	rotate := func(args ...string) {
		cmd := exec.Command(executable(t), append([]string{"ca", "rotate", "--config", filepath.Join(tun.dir, "config.toml")}, args...)...)
		cmd.Env = append(os.Environ(), asTlstunnel+"=1")
		if output, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(output), "the service uses it") {
			t.Fatalf("%q: %v\n%s", cmd.Args, err, output)
		}
	}
	old := writeFile(t, t.TempDir(), "old.crt", string(readFile(t, tun.ca())))
	rotate()
	next := writeFile(t, t.TempDir(), "next.crt", string(readFile(t, tun.pki("next-ca.crt"))))
	for _, ca := range []string{old, next} {
		runPythonClient(t, tun.addr, ca)
		tun.wantClosed(t)
		run(t, "openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "localhost",
			"-CAfile", ca, "-untrusted", tun.pki("server.crt"), tun.pki("server.crt"))
	}
	rotate("--finish")
	runPythonClient(t, tun.addr, next)
	tun.wantClosed(t)
	_, listen, _ := strings.Cut(tun.addr, ":")
	if output, err := try(t, "python3", "testdata/client.py", "localhost", listen, "1", old); err == nil {
		t.Errorf("a client that trusts only the old CA still connects:\n%s", output)
	}
	tun.wantFailed(t, handshakeFailed, "it doesn't trust", "tlstunnel CA")
}
