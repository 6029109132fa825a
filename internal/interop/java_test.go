//go:build linux

package interop

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"tlstunnel/internal/testkit"
)

// TestJava: Java uses the trust store that `ca export --p12` writes. Its client connects with
// it before, between and after the stages of a rotation. Java finds the key of `cert issue
// --p12` under its name, and uses it as a client's. keytool is the client, because a Java
// without a compiler has it, and because it reads a revocation list by HTTPS.
func TestJava(t *testing.T) {
	t.Parallel()
	keytool := need(t, "keytool")
	l := testkit.Listen(t)
	var list []byte
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(list) }))
	tun := startServer(t, l.Addr().String(), `client_auth = "require"`)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	const password = "correct horse"
	writeFile(t, dir, "password", password+"\n")
	do := func(args ...string) string {
		t.Helper()
		output, err := tlstunnel(t, append(args, "--config", filepath.Join(tun.dir, "config.toml"))...)
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, output)
		}
		return output
	}
	p12 := []string{"--p12", "--password-file", file("password")}
	issue := func(name string, more ...string) {
		t.Helper()
		do(append(append([]string{"cert", "issue", name, "--client", "--out", dir}, p12...), more...)...)
	}
	export := func(to string, more ...string) {
		t.Helper()
		do(append(append([]string{"ca", "export", "--out", to}, p12...), more...)...)
	}
	entries := func(store string) string {
		t.Helper()
		return run(t, keytool, "-list", "-keystore", store, "-storepass", password)
	}
	connect := func(trust, key string) (string, error) {
		_, port, _ := net.SplitHostPort(tun.addr)
		return try(t, keytool, "-J-Djavax.net.ssl.trustStore="+trust, "-J-Djavax.net.ssl.trustStorePassword="+password,
			"-J-Djavax.net.ssl.keyStore="+key, "-J-Djavax.net.ssl.keyStorePassword="+password,
			"-printcrl", "-file", "https://localhost:"+port+"/")
	}
	connects := func(trust, key string) {
		t.Helper()
		if output, err := connect(trust, key); err != nil || !strings.Contains(output, "tlstunnel CA") {
			t.Errorf("%s, %s: %v\n%s", trust, key, err, output)
		}
		tun.wantClosed(t)
	}

	issue("gone")
	do("cert", "revoke", "gone")
	list = readFile(t, tun.pki("ca.crl"))
	issue("modality-7")
	issue("modality-8", "--legacy")
	for _, name := range []string{"modality-7", "modality-8"} {
		wantOutput(t, entries(file(name+".p12")), `(?m)^`+name+`, .*PrivateKeyEntry`, "contains 1 entry")
	}
	export(t.TempDir(), "--legacy")
	before := t.TempDir()
	export(before)
	wantOutput(t, entries(filepath.Join(before, "ca.p12")), `(?m)^tlstunnel ca .*, trustedCertEntry`, "contains 1 entry")
	connects(filepath.Join(before, "ca.p12"), file("modality-7.p12"))
	connects(filepath.Join(before, "ca.p12"), file("modality-8.p12"))
	if output, err := connect(file("modality-7.p12"), file("modality-7.p12")); err == nil {
		t.Errorf("connects without trust:\n%s", output)
	}
	tun.wantFailed(t, handshakeFailed, "it doesn't trust", "tlstunnel CA")

	do("ca", "rotate")
	between := t.TempDir()
	export(between)
	wantOutput(t, entries(filepath.Join(between, "ca.p12")), "contains 2 entries")
	connects(filepath.Join(before, "ca.p12"), file("modality-7.p12"))
	connects(filepath.Join(between, "ca.p12"), file("modality-7.p12"))
	do("ca", "rotate", "--finish")
	connects(filepath.Join(between, "ca.p12"), file("modality-7.p12"))

	run(t, keytool, "-genkeypair", "-alias", "other", "-keyalg", "EC", "-dname", "CN=other", "-keystore", file("modality-7.p12"), "-storepass", password)
	output, err := tlstunnel(t, "cert", "show", file("modality-7.p12"), "--password-file", file("password"))
	if want := fmt.Sprintf("certificate %q is PKCS#12, and holds two keys or more: export only the one for this tunnel", file("modality-7.p12")); err == nil || !strings.Contains(output, want) {
		t.Errorf("got %v, %s, want %s", err, output, want)
	}
}
