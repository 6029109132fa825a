//go:build linux

package interop

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// gencrl makes the CA's revocation list, in a form of openssl crl.
func (a authority) gencrl(t *testing.T, form, file string) {
	t.Helper()
	list := filepath.Join(t.TempDir(), "list.pem")
	run(t, "openssl", "ca", "-gencrl", "-config", filepath.Join(a.dir, "ca.cnf"), "-cert", a.cert, "-keyfile", a.key,
		"-crldays", "7", "-crlexts", "crl", "-out", list)
	run(t, "openssl", "crl", "-in", list, "-outform", form, "-out", file+"~")
	if err := os.Rename(file+"~", file); err != nil {
		t.Fatal(err)
	}
}

func (a authority) revoke(t *testing.T, cert string) {
	t.Helper()
	run(t, "openssl", "ca", "-revoke", cert, "-crl_reason", "keyCompromise", "-config", filepath.Join(a.dir, "ca.cnf"), "-cert", a.cert, "-keyfile", a.key)
}

// TestSClientRevoked: a list that openssl writes, as PEM or DER, ends the live connection of
// a client without a reload, and keeps the client out.
func TestSClientRevoked(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	for _, form := range []string{"PEM", "DER"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			ours := newAuthority(t, "Clinic CA")
			config := filepath.Join(ours.dir, "ca.cnf")
			writeFile(t, ours.dir, "ca.cnf", string(readFile(t, config))+"[crl]\nauthorityKeyIdentifier = keyid\n")
			bad, good := ours.issue(t, "modality-7"), ours.issue(t, "modality-8")
			crl := filepath.Join(ours.dir, "clinic.crl")
			ours.gencrl(t, form, crl)
			tun := startServer(t, startEcho(t), `client_auth = "require"`, fmt.Sprintf("client_ca = [%q]", ours.cert),
				fmt.Sprintf("crl = [%q]", crl), `allow = ["cn:modality-*"]`)
			options := verifying(tun.ca(), "localhost")

			client, stdin := startSClient(t, tun.addr, append(options, "-cert", bad.cert, "-key", bad.key)...)
			defer stdin.Close()
			if _, err := io.WriteString(stdin, "marco polo\n"); err != nil {
				t.Fatal(err)
			}
			client.waitFor(t, "marco polo\n")
			ours.revoke(t, bad.cert)
			ours.gencrl(t, form, crl)
			if r := tun.connection(t); r.Msg != interrupted || r.Identity != "CN=modality-7" {
				t.Errorf("got %+v", r)
			}
			client.waitFor(t, `errno=104`)

			again, input := startSClient(t, tun.addr, append(options, "-cert", bad.cert, "-key", bad.key)...)
			defer input.Close()
			again.waitFor(t, `errno=104`)
			tun.wantFailed(t, refused, "the peer's certificate was revoked on ", ": keyCompromise ("+crl+")")

			talkSClient(t, tun.addr, append(options, "-cert", good.cert, "-key", good.key)...)
			tun.wantClosed(t)
		})
	}
}
