//go:build unix

package service

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestLogCannotRotate: when a full file can't be renamed, lines go on into it,
// but not for ever. A folder without write permission stands for the viewer that
// holds the file open on Windows.
func TestLogCannotRotate(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may rename whatever it wants")
	}
	cfg, console := logConfig(t), new(logText)
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
	file := openLogFile(cfg, console)
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

// TestLogPipe: a pipe without a reader would hold up who opens it.
func TestLogPipe(t *testing.T) {
	cfg, console := logConfig(t), new(logText)
	cfg.File = filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(cfg.File, 0o600); err != nil {
		t.Fatal(err)
	}
	log, closeLog := OpenLog(cfg, console, false)
	log.Info("hello")
	closeLog()
	if !strings.Contains(console.String(), "msg=hello") {
		t.Errorf("got %q", console)
	}
}
