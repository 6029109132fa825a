package logging

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"tlstunnel/internal/config"
	"tlstunnel/internal/testkit"
)

func logConfig(t *testing.T) config.Log {
	return config.Log{Level: "info", Format: "text", File: filepath.Join(t.TempDir(), "log", "tlstunnel.log"), MaxSize: 1 << 20, MaxBackups: 3}
}

func readLog(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLog(t *testing.T) {
	cfg, console := logConfig(t), new(testkit.Log)
	log, closeLog := Open(cfg, new(Control), console, false, nil)
	log.Debug("quiet")
	log.Info("hello", "tunnel", "a")
	closeLog()
	log.Info("too late")
	if got := readLog(t, cfg.File); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=INFO msg=hello tunnel=a\n") {
		t.Errorf("got %q", got)
	}
	if console.String() != "" {
		t.Errorf("the console got %q", console)
	}
	if info, err := os.Stat(cfg.File); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("everybody may read the log: %v, %v", info.Mode(), err)
	}
}

func TestLogInteractive(t *testing.T) {
	cfg, console := logConfig(t), new(testkit.Log)
	cfg.Format = "json"
	log, closeLog := Open(cfg, new(Control), console, true, nil)
	log.Info("hello", "peer", "\x1b[2J\u009b")
	closeLog()
	if got := readLog(t, cfg.File); got != console.String() || !strings.Contains(got, `"msg":"hello","peer":"\u001b[2J\u009b"}`) {
		t.Errorf("file %q, console %q", got, console)
	}
}

func TestLogConsoleOnly(t *testing.T) {
	cfg, console := logConfig(t), new(testkit.Log)
	cfg.File = config.Console
	log, closeLog := Open(cfg, new(Control), console, true, nil)
	log.Info("hello")
	closeLog()
	if got := console.String(); strings.Count(got, "msg=hello") != 1 {
		t.Errorf("got %q", got)
	}
}

// TestLogBroken: lines that can't be written to the file go to the console, with one
// complaint.
func TestLogBroken(t *testing.T) {
	notRegular := "it isn't a regular file"
	tests := []struct {
		name, file, complaint string
	}{
		{"a folder", t.TempDir(), notRegular},
		{"a device", os.DevNull, notRegular},
		{"a file as a folder", filepath.Join(os.Args[0], "tlstunnel.log"), "tlstunnel: writing log file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, console := logConfig(t), new(testkit.Log)
			cfg.File = tt.file
			control := new(Control)
			log, closeLog := Open(cfg, control, console, false, nil)
			log.Info("first")
			log.Info("second")
			closeLog()
			if control.Failure() == "" {
				t.Error("no line says that the file lacks lines")
			}
			got := console.String()
			for _, want := range []string{"msg=first", "msg=second", tt.complaint, "the tunnels go on without it"} {
				if strings.Count(got, want) != 1 {
					t.Errorf("want %q once:\n%s", want, got)
				}
			}
		})
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Errorf("the device is gone: %v", err)
	}
}

// TestLogRotates: the number and the size of the files are bounded.
func TestLogRotates(t *testing.T) {
	cfg, console := logConfig(t), new(testkit.Log)
	file := openLogFile(cfg, new(Control), console)
	line := []byte(strings.Repeat("x", 1000) + "\n")
	for range 10 << 10 { // 10 MiB
		if err := file.writeLine(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.rotating.Close(); err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(filepath.Join(filepath.Dir(cfg.File), "*"))
	if err != nil {
		t.Fatal(err)
	}
	// lumberjack removes old files later, in a goroutine of its own.
	testkit.Reached(func() bool {
		all, _ = filepath.Glob(filepath.Join(filepath.Dir(cfg.File), "*"))
		return len(all) <= cfg.MaxBackups+1
	})
	if len(all) != cfg.MaxBackups+1 {
		t.Errorf("%d files: %v", len(all), all)
	}
	for _, f := range all {
		if info, err := os.Stat(f); err != nil || info.Size() > cfg.MaxSize {
			t.Errorf("%s: %v, %v", f, info, err)
		}
	}
}

// TestLogStalled: if a disk or a console hangs, logging doesn't block, and the lost lines are
// counted.
func TestLogStalled(t *testing.T) {
	cfg, console := logConfig(t), new(testkit.Log)
	file, lines := openLogFile(cfg, new(Control), console), newLineQueue() // not emptied yet
	for i := range queuedLines + 10 {
		fmt.Fprintf(lines, "line %d\n", i)
	}
	go lines.pass(file.write)
	lines.close()
	got := readLog(t, cfg.File)
	if strings.Count(got, "\n") != queuedLines+1 || !strings.Contains(got, "lines=10") {
		t.Errorf("%d lines were written, want %d and one about the 10 lost", strings.Count(got, "\n"), queuedLines)
	}
}

func TestConsoleStalled(t *testing.T) {
	cfg := logConfig(t)
	stopped, resume := io.Pipe() // without a reader, each write blocks
	log, closeLog := Open(cfg, new(Control), resume, true, nil)
	for i := range 2 * queuedLines {
		log.Info("hello", "i", i)
	}
	go io.Copy(io.Discard, stopped)
	closeLog()
	if got := readLog(t, cfg.File); strings.Count(got, "msg=hello")+lost(got) != 2*queuedLines {
		t.Errorf("the file has %d lines, and %d were lost", strings.Count(got, "msg=hello"), lost(got))
	}
}

// lost adds up the lost lines that the log reports.
func lost(log string) (n int) {
	for _, m := range regexp.MustCompile(`log lines were lost.* lines=(\d+)`).FindAllStringSubmatch(log, -1) {
		lines, _ := strconv.Atoi(m[1])
		n += lines
	}
	return n
}

// TestLogRemoved: if the file is removed, the next line makes a new one.
func TestLogRemoved(t *testing.T) {
	cfg := logConfig(t)
	file := openLogFile(cfg, new(Control), io.Discard)
	defer file.rotating.Close()
	file.write([]byte("first\n"), 0)
	if err := os.RemoveAll(filepath.Dir(cfg.File)); err != nil {
		t.Fatal(err)
	}
	file.write([]byte("second\n"), 0)
	if got := readLog(t, cfg.File); got != "second\n" {
		t.Errorf("got %q", got)
	}
}

// TestLogEmptied: something empties the file, such as logrotate's copytruncate. The file then
// begins with the next line, whichever process had made it, and its size counts from there.
func TestLogEmptied(t *testing.T) {
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for how, fill := range map[string]func(t *testing.T, cfg config.Log, file *logFile){
		"made with its folder": func(*testing.T, config.Log, *logFile) {},
		"there already": func(t *testing.T, cfg config.Log, _ *logFile) {
			testkit.Check(t, os.MkdirAll(filepath.Dir(cfg.File), 0o700))
			testkit.Check(t, os.WriteFile(cfg.File, []byte("old\n"), 0o600))
		},
		"made by a rotation": func(t *testing.T, cfg config.Log, file *logFile) {
			for range cfg.MaxSize / int64(len(line)) {
				testkit.Check(t, file.writeLine(line))
			}
		},
		"made in place of one that was removed": func(t *testing.T, cfg config.Log, file *logFile) {
			testkit.Check(t, file.writeLine(line))
			testkit.Check(t, file.rotating.Close()) // or Windows doesn't remove it
			testkit.Check(t, os.Remove(cfg.File))
		},
	} {
		t.Run(how, func(t *testing.T) {
			cfg := logConfig(t)
			file := openLogFile(cfg, new(Control), io.Discard)
			defer file.rotating.Close()
			fill(t, cfg, file)
			for range 700 { // more than half of the size
				testkit.Check(t, file.writeLine(line))
			}
			testkit.Check(t, os.Truncate(cfg.File, 0))
			testkit.Check(t, file.writeLine([]byte("next\n")))
			testkit.Check(t, file.writeLine([]byte("and another\n")))
			if got := readLog(t, cfg.File); got != "next\nand another\n" {
				t.Errorf("%d bytes: %.20q", len(got), got)
			}
			for range 700 {
				testkit.Check(t, file.writeLine(line))
			}
			if got := readLog(t, cfg.File); len(got) != 700*len(line)+len("next\nand another\n") {
				t.Errorf("the size counts from before: the file has %d bytes", len(got))
			}
		})
	}
}

// TestLogTorn: if a line was written only in part, the next one still begins on a new line.
func TestLogTorn(t *testing.T) {
	cfg := logConfig(t)
	file := openLogFile(cfg, new(Control), io.Discard)
	defer file.rotating.Close()
	file.write([]byte("first ha"), 0)
	file.torn = true
	file.write([]byte("second\n"), 0)
	file.write([]byte("third\n"), 0)
	if got := readLog(t, cfg.File); got != "first ha\nsecond\nthird\n" {
		t.Errorf("got %q", got)
	}
}
