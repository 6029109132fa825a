//go:build unix

package service

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
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
	file := openLogFile(cfg, new(LogControl), console)
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
	log, closeLog := OpenLog(cfg, new(LogControl), console, false)
	log.Info("hello")
	closeLog()
	if !strings.Contains(console.String(), "msg=hello") {
		t.Errorf("got %q", console)
	}
}

// TestLogReplaced: when somebody renames the file and makes another, as logrotate does
// with create, the next line is in that one.
func TestLogReplaced(t *testing.T) {
	cfg := logConfig(t)
	file := openLogFile(cfg, new(LogControl), io.Discard)
	defer file.rotating.Close()
	check(t, file.writeLine([]byte("first\n")))
	check(t, os.Rename(cfg.File, cfg.File+".1"))
	check(t, os.WriteFile(cfg.File, []byte("made by another program\n"), 0o600))
	check(t, file.writeLine([]byte("second\n")))
	if got := readLog(t, cfg.File); got != "made by another program\nsecond\n" {
		t.Errorf("got %q", got)
	}
}

// TestLogModes: who may enter the folder of an installed service's log may read the log,
// and what is made of it. Elsewhere it is for its user alone.
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
			check(t, os.Mkdir(dir, tt.folder))
			check(t, os.Chmod(dir, tt.folder))
		}
		if tt.old != 0 {
			check(t, os.WriteFile(cfg.File, nil, tt.old))
			check(t, os.Chmod(cfg.File, tt.old))
		}
		log, closeLog := OpenLog(cfg, new(LogControl), io.Discard, false)
		log.Info("hello")
		closeLog()
		info, err := os.Stat(cfg.File)
		check(t, err)
		if info.Mode() != tt.want {
			t.Errorf("in a folder of %04o, %04o before: got %04o, want %04o", tt.folder, tt.old, info.Mode(), tt.want)
		}
	}
}

// TestLogAsOwner: root that runs the service by hand follows no link of the account's.
func TestLogAsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can write as another user")
	}
	cfg, console := logConfig(t), new(logText)
	check(t, os.Chmod(filepath.Dir(filepath.Dir(filepath.Dir(cfg.File))), 0o755))
	dir := filepath.Dir(cfg.File)
	check(t, os.Mkdir(dir, 0o750))
	check(t, os.Chown(dir, 4711, 4712))
	log, closeLog := OpenLog(cfg, new(LogControl), console, false)
	log.Info("hello")
	closeLog()
	info, err := os.Stat(cfg.File)
	check(t, err)
	if st := info.Sys().(*syscall.Stat_t); st.Uid != 4711 || info.Mode() != 0o640 {
		t.Errorf("the log is of %d, %v", st.Uid, info.Mode())
	}
	secret := filepath.Join(t.TempDir(), "secret")
	check(t, os.WriteFile(secret, nil, 0o600))
	check(t, os.Remove(cfg.File))
	check(t, os.Link(secret, cfg.File))
	log, closeLog = OpenLog(cfg, new(LogControl), console, false)
	log.Info("not there")
	closeLog()
	if got := readLog(t, secret); got != "" || !strings.Contains(console.String(), "not there") {
		t.Errorf("root's file has %q, the console %q", got, console)
	}
}

// TestLogFailureInStatus: a service whose log file can't be written isn't healthy, until
// a line is in it again.
func TestLogFailureInStatus(t *testing.T) {
	cfg := load(t, serverTunnel("a", "127.0.0.1:0", "127.0.0.1:1", ""))
	cfg.Log = logConfig(t)
	cfg.Log.File = filepath.Join(t.TempDir(), "log")
	check(t, os.Mkdir(cfg.Log.File, 0o700)) // for a full disk, or one that can't be written
	control := new(LogControl)
	log, closeLog := OpenLog(cfg.Log, control, io.Discard, false)
	defer closeLog()
	s, err := Start(t.Context(), cfg, log)
	check(t, err)
	defer s.Stop()
	s.logControl = control
	await := func(want Verdict) (st Status) {
		for range 500 {
			if st = s.Status(); st.Verdict == want {
				return st
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("got %+v, want %s", st.Health, want)
		return st
	}
	if st := await(Degraded); len(st.Problems) != 1 || !strings.Contains(st.Problems[0], fmt.Sprintf("%q can't be written", cfg.Log.File)) || st.LogError == "" {
		t.Errorf("got %+v", st.Health)
	}
	check(t, os.Remove(cfg.Log.File))
	log.Info("hello")
	if st := await(OK); st.LogError != "" {
		t.Errorf("got %+v", st)
	}
}
