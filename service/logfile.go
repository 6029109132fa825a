package service

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"gopkg.in/natefinch/lumberjack.v2"

	"tlstunnel/internal/config"
)

const (
	// queuedLines may wait for the disk; at some 300 bytes each that is 1 MB.
	// Those beyond are counted and dropped.
	queuedLines = 4096

	// complainEvery is how often a broken log file is complained about.
	complainEvery = time.Minute

	// closeTimeout is how long a stop waits for the disk.
	closeTimeout = 2 * time.Second
)

// logFile is a rotating log file that never fails and never blocks: writeLines,
// in a goroutine of its own, does the writing. It is the one place that knows
// lumberjack and its traps.
type logFile struct {
	rotating *lumberjack.Logger
	maxSize  int64
	console  io.Writer // told when the file can't be written
	fallback io.Writer // takes the lines that the file can't

	lines   chan []byte
	written chan struct{} // closed when the last line has been written

	mu      sync.Mutex // guards what follows
	closed  bool
	dropped int // lines, since the last complaint
}

func openLogFile(cfg config.Log, console io.Writer) *logFile {
	return &logFile{
		rotating: &lumberjack.Logger{
			Filename:   cfg.File,
			MaxSize:    int(cfg.MaxSize >> 20), // in MiB
			MaxBackups: cfg.MaxBackups,
			MaxAge:     int(cfg.MaxAge / (24 * time.Hour)), // in days
			Compress:   cfg.Compress,
			LocalTime:  true,
		},
		maxSize:  cfg.MaxSize,
		console:  console,
		fallback: console,
		lines:    make(chan []byte, queuedLines),
		written:  make(chan struct{}),
	}
}

// Write queues a line. It always succeeds.
func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return len(line), nil
	}
	select {
	case l.lines <- append([]byte(nil), line...): // slog uses its buffer again
	default:
		l.dropped++
	}
	return len(line), nil
}

// close waits until the queued lines are written, but not for ever.
func (l *logFile) close() {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.lines)
	}
	l.mu.Unlock()
	select {
	case <-l.written:
	case <-time.After(closeTimeout):
	}
}

// writeLines writes what is queued until close.
func (l *logFile) writeLines() {
	defer close(l.written)
	defer l.rotating.Close()
	var quietUntil time.Time
	for line := range l.lines {
		err := l.writeLine(line)
		if err != nil {
			_, _ = l.fallback.Write(line)
		}
		if now := time.Now(); now.After(quietUntil) && l.complain(err) {
			quietUntil = now.Add(complainEvery)
		}
	}
}

// complain reports whether there was anything to complain about.
func (l *logFile) complain(err error) bool {
	l.mu.Lock()
	dropped := l.dropped
	l.dropped = 0
	l.mu.Unlock()
	if err != nil {
		fmt.Fprintf(l.console, "tlstunnel: writing log file %q: %v; the tunnels go on without it\n", l.rotating.Filename, err)
	}
	if dropped > 0 {
		fmt.Fprintf(l.console, "tlstunnel: log file %q is too slow: %d lines were dropped\n", l.rotating.Filename, dropped)
	}
	return err != nil || dropped > 0
}

func (l *logFile) writeLine(line []byte) error {
	size, err := l.size()
	if err != nil {
		return err
	}
	if _, err = l.rotating.Write(line); err == nil {
		return nil
	}
	// When lumberjack can't rename a full file, as on Windows while a viewer
	// has it open, it drops every line until it can. Go on in the old file, but
	// not for ever.
	if size == 0 || size > 2*l.maxSize || appendTo(l.rotating.Filename, line) != nil {
		return err
	}
	return nil
}

// size is that of the file, 0 if there is none yet. Rotating what isn't a
// regular file would rename a device, or wait for the reader of a pipe.
func (l *logFile) size() (int64, error) {
	info, err := os.Stat(l.rotating.Filename)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, err
	case !info.Mode().IsRegular():
		return 0, errors.New("it isn't a regular file; log.file = \"-\" logs to stderr")
	default:
		return info.Size(), nil
	}
}

func appendTo(file string, line []byte) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(line)
	return errors.Join(err, f.Close())
}
