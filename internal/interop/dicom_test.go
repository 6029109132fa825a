//go:build linux

package interop

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// storeSCP is a DICOM archive: DCMTK's storescp, which writes what it gets into
// a folder.
type storeSCP struct {
	*plainServer
	t    *testing.T
	path string
	args []string
	dir  string
}

// startSCP starts a storescp with the options, which may give it TLS.
func startSCP(t *testing.T, options ...string) *storeSCP {
	t.Helper()
	s := &storeSCP{t: t, path: need(t, "storescp"), dir: t.TempDir()}
	// By default, storescp listens on every address of the machine. With -id it serves one
	// connection, as from inetd. With +B it writes the bytes as they came.
	s.args = append([]string{"-id", "-v", "+B", "-od", s.dir}, options...)
	s.plainServer = startPlain(t, s.serveConn)
	return s
}

func (s *storeSCP) serveConn(c *net.TCPConn) error {
	socket, err := c.File()
	if err != nil {
		return err
	}
	defer socket.Close()
	c.Close() // storescp's end of the association is the end of the connection
	cmd := exec.CommandContext(s.t.Context(), s.path, s.args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdin = socket
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("storescp %q: %w\n%s", s.args, err, output)
	}
	return nil
}

// wantImage checks that the image has arrived, each byte of it.
func (s *storeSCP) wantImage(t *testing.T) {
	t.Helper()
	s.wantServed(t)
	if got := datasetOf(t, filepath.Join(s.dir, "SC."+imageUID)); !bytes.Equal(got, image()) {
		t.Errorf("storescp has written %d bytes that aren't the %d of the image", len(got), len(image()))
	}
}

// sendImage sends the file with the image with storescu.
func sendImage(t *testing.T, file, address string, options ...string) {
	t.Helper()
	callSCU(t, "storescu", address, options, file)
}

// callSCU runs a DICOM client of DCMTK, which connects by the name localhost,
// and returns what it wrote.
func callSCU(t *testing.T, name, address string, options []string, files ...string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, name, slices.Concat([]string{"-v"}, options, []string{"localhost", port}, files)...)
}

func TestDICOM(t *testing.T) {
	t.Parallel()
	scp := startSCP(t)
	tuns := startPair(t, scp.addr)

	if output := callSCU(t, "echoscu", tuns.client.addr, nil); !strings.Contains(output, "Received Echo Response (Success)") {
		t.Errorf("echoscu wrote %q", output)
	}
	scp.wantServed(t)
	tuns.wantClosed(t)

	file := writeImage(t)
	if dump := run(t, "dcmdump", file); !strings.Contains(dump, "# 54080000, 1 PixelData") {
		t.Fatalf("dcmdump can't read the image:\n%s", dump)
	}
	sendImage(t, file, tuns.client.addr)
	scp.wantImage(t)
	if r, _ := tuns.wantClosed(t); r.ToTarget < int64(len(image())) || r.ToPeer == 0 {
		t.Errorf("log of the connection: got %+v, want more than the %d bytes of the image", r, len(image()))
	}
}

// dcmtkProfiles are those TLS profiles of DCMTK that aren't retired, with what DCMTK and we
// agree on. The default (+py) is BCP 195 without downgrade. In DCMTK 3.6.7, the extended
// profile (+pz) accepts nothing newer than TLS 1.2, and +px behaves like +py. The retired
// profiles need cipher suites that crypto/tls has switched off, see TestDCMTKRetiredProfile.
var dcmtkProfiles = []struct{ option, version string }{
	{"+py", "TLS 1.3"},
	{"+pz", "TLS 1.2"},
}

func TestDCMTKTLSClient(t *testing.T) {
	t.Parallel()
	need(t, "storescu")
	ca := newAuthority(t, "Clinic CA")
	modality := ca.issue(t, "modality-7")
	file := writeImage(t)
	for _, profile := range dcmtkProfiles {
		t.Run(profile.option+" anonymous", func(t *testing.T) {
			t.Parallel()
			scp := startSCP(t)
			tun := startServer(t, scp.addr)
			// DCMTK verifies the CA of our certificate, but never the name in it.
			sendImage(t, file, tun.addr, profile.option, "+tla", "+cf", tun.ca())
			scp.wantImage(t)
			wantVersion(t, tun, profile.version)
		})
		t.Run(profile.option+" with a certificate", func(t *testing.T) {
			t.Parallel()
			scp := startSCP(t)
			tun := startServer(t, scp.addr, `client_auth = "require"`, fmt.Sprintf("client_ca = [%q]", ca.cert))
			sendImage(t, file, tun.addr, profile.option, "+tls", modality.key, modality.cert, "+cf", tun.ca())
			scp.wantImage(t)
			if r := wantVersion(t, tun, profile.version); r.Identity != "CN=modality-7" {
				t.Errorf("log of the connection: got identity %q, want that of the certificate", r.Identity)
			}
		})
	}
}

func TestDCMTKTLSServer(t *testing.T) {
	t.Parallel()
	need(t, "storescu")
	ca := newAuthority(t, "Clinic CA")
	pacs, modality := ca.issue(t, "pacs", "DNS:localhost"), ca.issue(t, "modality-7")
	file := writeImage(t)
	for _, profile := range dcmtkProfiles {
		t.Run(profile.option+" anonymous", func(t *testing.T) {
			t.Parallel()
			// By default storescp demands a certificate of every client.
			scp := startSCP(t, profile.option, "+tls", pacs.key, pacs.cert, "-ic")
			tun := startClient(t, byName(t, scp.addr), ca.cert)
			sendImage(t, file, tun.addr)
			scp.wantImage(t)
			wantVersion(t, tun, profile.version)
		})
		t.Run(profile.option+" with a certificate", func(t *testing.T) {
			t.Parallel()
			scp := startSCP(t, profile.option, "+tls", pacs.key, pacs.cert, "+cf", ca.cert)
			tun := startClient(t, byName(t, scp.addr), ca.cert,
				fmt.Sprintf("cert = %q", modality.cert), fmt.Sprintf("key = %q", modality.key))
			sendImage(t, file, tun.addr)
			scp.wantImage(t)
			wantVersion(t, tun, profile.version)
		})
	}
}

// The AES profile of 2002 has RSA key exchange only, without forward secrecy.
func TestDCMTKRetiredProfile(t *testing.T) {
	t.Parallel()
	need(t, "echoscu")
	tun := startServer(t, startEcho(t))
	_, port, _ := net.SplitHostPort(tun.addr)
	output, err := try(t, "echoscu", "-v", "+pa", "+tla", "+cf", tun.ca(), "localhost", port)
	if err == nil || !strings.Contains(output, "alert handshake failure") {
		t.Errorf("echoscu: got %v and\n%s", err, output)
	}
	tun.wantFailed(t, handshakeFailed, `set profile = "legacy"`, "certificate with an RSA key")

	dir := t.TempDir()
	cert, key := filepath.Join(dir, "rsa.crt"), filepath.Join(dir, "rsa.key")
	run(t, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "30",
		"-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
	scp := startSCP(t)
	legacy := startServer(t, scp.addr, `profile = "legacy"`, fmt.Sprintf("cert = %q", cert), fmt.Sprintf("key = %q", key))
	sendImage(t, writeImage(t), legacy.addr, "+pa", "+tla", "+cf", cert)
	scp.wantImage(t)
	wantVersion(t, legacy, "TLS 1.2")
}

func wantVersion(t *testing.T, tun *tunnel, version string) record {
	t.Helper()
	r := tun.wantClosed(t)
	if r.TLS != version {
		t.Errorf("log of the connection: got %+v, want %s", r, version)
	}
	return r
}
