//go:build unix

package control

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"tlstunnel/internal/testkit"
)

// TestMayBeOthers: a socket of another user's service counts as long as it accepts
// connections.
func TestMayBeOthers(t *testing.T) {
	temp := testkit.ShortTempDir(t)
	t.Setenv("TMPDIR", temp)
	t.Setenv("RUNTIME_DIRECTORY", testkit.ShortTempDir(t)) // for our own
	const file = "/srv/tlstunnel.toml"
	if MayBeOthers(file) {
		t.Error("a socket counts before there is any")
	}
	dir := filepath.Join(temp, "tlstunnel-12345")
	testkit.Check(t, os.Mkdir(dir, 0o700))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, filepath.Base(socketPath(file))), Net: "unix"})
	testkit.Check(t, err)
	if !MayBeOthers(file) {
		t.Error("another user's service isn't seen")
	}
	if MayBeOthers(file + ".other") {
		t.Error("that one has another config")
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if MayBeOthers(file) {
		t.Error("the socket of a killed service counts")
	}
}
