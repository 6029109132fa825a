package service

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"gopkg.in/natefinch/lumberjack.v2"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/config"
)

// complainEvery is how often a broken log file is complained about.
const complainEvery = time.Minute

// logFile is a rotating log file. It is the one place that knows lumberjack and
// its traps, and is used by one goroutine.
type logFile struct {
	rotating *lumberjack.Logger
	maxSize  int64
	console  io.Writer    // told when the file can't be written
	fallback io.Writer    // takes the lines that the file can't
	own      *slog.Logger // writes into the file what the log has to say of itself

	torn       bool // the last line may be there in part
	quietUntil time.Time
}

func openLogFile(cfg config.Log, console io.Writer) *logFile {
	l := &logFile{
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
	}
	l.own = slog.New(logHandler(cfg, writerFunc(l.writeLine)))
	return l
}

type writerFunc func([]byte) error

func (f writerFunc) Write(p []byte) (int, error) { return len(p), f(p) }

// write takes a line, and the number of lines that were lost before it.
func (l *logFile) write(line []byte, lost int) {
	if lost > 0 {
		l.own.Error("log lines were lost: the disk is too slow for them", "lines", lost)
	}
	err := l.writeLine(line)
	if err == nil {
		return
	}
	_, _ = l.fallback.Write(line)
	if now := time.Now(); now.After(l.quietUntil) {
		l.quietUntil = now.Add(complainEvery)
		fmt.Fprintf(l.console, "tlstunnel: writing log file %q: %v; the tunnels go on without it\n", l.rotating.Filename, err)
	}
}

func (l *logFile) writeLine(line []byte) error {
	size, err := l.size()
	if err != nil {
		return err
	}
	if l.torn {
		line = append([]byte("\n"), line...)
	}
	_, err = l.rotating.Write(line)
	// When lumberjack can't rename a full file, as on Windows while a viewer
	// has it open, it drops every line until it can. Go on in the old file, but
	// not for ever.
	if err != nil && size > 0 && size <= 2*l.maxSize {
		if appendTo(l.rotating.Filename, line) == nil {
			err = nil
		}
	}
	l.torn = err != nil
	return err
}

// size is that of the file, 0 if there is none yet. Rotating what isn't a
// regular file would rename a device, or wait for the reader of a pipe.
func (l *logFile) size() (int64, error) {
	// Not Stat: where root tries the service by hand, a link of the service's
	// account must not lead it to a file of somebody else.
	info, err := os.Lstat(l.rotating.Filename)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// lumberjack would go on in a file that somebody has removed.
		_ = l.rotating.Close()
		// By lumberjack it would be root's if an administrator tries the service
		// by hand, and the service couldn't write it. Its folder may be missing.
		if f, err := atomicfile.OpenSecret(l.rotating.Filename); err == nil {
			f.Close()
		}
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
