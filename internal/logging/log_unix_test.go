//go:build unix

package logging

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tlstunnel/internal/testkit"
)

// TestLogCannotRotate: if a full file can't be renamed, lines are still written to it, but
// not for ever. A folder without write permission stands for the viewer that holds the file
// open on Windows.
func TestLogCannotRotate(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may rename whatever it wants")
	}
	cfg, console := logConfig(t), new(testkit.Log)
	dir := filepath.Dir(cfg.File)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg.File, []byte(strings.Repeat("x", int(cfg.MaxSize))), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	file := openLogFile(cfg, new(Control), console)
	line := []byte(strings.Repeat("y", 1<<16))
	written := 0
	for range 100 {
		if file.writeLine(line) == nil {
			written++
		}
	}
	if written < 16 || written > 18 { // up to twice the size
		t.Errorf("%d lines of 64 KiB were written into a file of 1 MiB that can't be rotated", written)
	}
}

// TestLogPipe: opening a pipe without a reader would block.
func TestLogPipe(t *testing.T) {
	cfg, console := logConfig(t), new(testkit.Log)
	cfg.File = filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(cfg.File, 0o600); err != nil {
		t.Fatal(err)
	}
	log, closeLog := Open(cfg, new(Control), console, false, nil)
	log.Info("hello")
	closeLog()
	if !strings.Contains(console.String(), "msg=hello") {
		t.Errorf("got %q", console)
	}
}

// TestLogReplaced: another program renames the file and makes a new one, as logrotate does
// with create. The next line is in the new file.
func TestLogReplaced(t *testing.T) {
	cfg := logConfig(t)
	file := openLogFile(cfg, new(Control), io.Discard)
	defer file.rotating.Close()
	testkit.Check(t, file.writeLine([]byte("first\n")))
	testkit.Check(t, os.Rename(cfg.File, cfg.File+".1"))
	testkit.Check(t, os.WriteFile(cfg.File, []byte("made by another program\n"), 0o600))
	testkit.Check(t, file.writeLine([]byte("second\n")))
	if got := readLog(t, cfg.File); got != "made by another program\nsecond\n" {
		t.Errorf("got %q", got)
	}
}

// TestLogModes: every user with access to the folder of an installed service's log may read
// the log and its compressed files. Any other log is for its user alone.
func TestLogModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o027)) // as in the unit
	for _, tt := range []struct{ folder, old, want os.FileMode }{
		{0o750, 0, 0o640},
		{0o750, 0o600, 0o640}, // made by an earlier version
		{0o750, 0o660, 0o660},
		{0o700, 0, 0o600},
		{0o755, 0o600, 0o600},
		{0o755, 0, 0o600},
		{0, 0, 0o600}, // no folder either
	} {
		cfg := logConfig(t)
		cfg.Compress = true
		dir := filepath.Dir(cfg.File)
		if tt.folder != 0 {
			testkit.Check(t, os.Mkdir(dir, tt.folder))
			testkit.Check(t, os.Chmod(dir, tt.folder))
		}
		if tt.old != 0 {
			testkit.Check(t, os.WriteFile(cfg.File, nil, tt.old))
			testkit.Check(t, os.Chmod(cfg.File, tt.old))
		}
		log, closeLog := Open(cfg, new(Control), io.Discard, false, nil)
		log.Info("hello")
		closeLog()
		info, err := os.Stat(cfg.File)
		testkit.Check(t, err)
		if info.Mode() != tt.want {
			t.Errorf("in a folder of %04o, %04o before: got %04o, want %04o", tt.folder, tt.old, info.Mode(), tt.want)
		}
	}
}

// TestLogAsOwner: if root runs the service by hand, root follows no link that the account has
// made.
func TestLogAsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can write as another user")
	}
	cfg, console := logConfig(t), new(testkit.Log)
	testkit.Check(t, os.Chmod(filepath.Dir(filepath.Dir(filepath.Dir(cfg.File))), 0o755))
	dir := filepath.Dir(cfg.File)
	testkit.Check(t, os.Mkdir(dir, 0o750))
	testkit.Check(t, os.Chown(dir, 4711, 4712))
	log, closeLog := Open(cfg, new(Control), console, false, nil)
	log.Info("hello")
	closeLog()
	info, err := os.Stat(cfg.File)
	testkit.Check(t, err)
	if st := info.Sys().(*syscall.Stat_t); st.Uid != 4711 || info.Mode() != 0o640 {
		t.Errorf("the log is of %d, %v", st.Uid, info.Mode())
	}
	secret := filepath.Join(t.TempDir(), "secret")
	testkit.Check(t, os.WriteFile(secret, nil, 0o600))
	testkit.Check(t, os.Remove(cfg.File))
	testkit.Check(t, os.Link(secret, cfg.File))
	log, closeLog = Open(cfg, new(Control), console, false, nil)
	log.Info("not there")
	closeLog()
	if got := readLog(t, secret); got != "" || !strings.Contains(console.String(), "not there") {
		t.Errorf("root's file has %q, the console %q", got, console)
	}
}
