package logging

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"gopkg.in/natefinch/lumberjack.v2"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/config"
	"tlstunnel/internal/filerights"
)

// complainEvery is the time between two complaints about a broken log file.
const complainEvery = time.Minute

// logFile is a rotating log file. Only this type uses lumberjack and works around its faults.
// Only one goroutine may use it.
type logFile struct {
	rotating *lumberjack.Logger
	maxSize  int64
	control  *Control     // gets the last error of the file
	console  io.Writer    // gets a complaint if the file can't be written
	fallback io.Writer    // gets the lines that the file can't
	own      *slog.Logger // writes lines about the log itself into the file

	torn       bool // the last line may be incomplete
	quietUntil time.Time

	// The file that lumberjack has open, and its size after the last line; nil and 0 if none
	// is open.
	last     os.FileInfo
	lastSize int64
}

func openLogFile(cfg config.Log, control *Control, console io.Writer) *logFile {
	l := &logFile{
		rotating: &lumberjack.Logger{
			Filename:   cfg.File,
			MaxSize:    1 << 30, // MiB: lumberjack never rotates by itself, see rotate
			MaxBackups: cfg.MaxBackups,
			MaxAge:     int(cfg.MaxAge / (24 * time.Hour)), // in days
			Compress:   cfg.Compress && !worksAsOwner(cfg.File),
			LocalTime:  true,
		},
		maxSize:  cfg.MaxSize,
		control:  control,
		console:  console,
		fallback: console,
	}
	l.own = slog.New(logHandler(cfg, control, writerFunc(l.writeLine)))
	return l
}

// pass writes the queued lines until the queue is closed. If root runs the service by hand and
// the folder belongs to the service's account, pass works with the rights of that account: so
// a symbolic link there can't make root write another file. The rights are those of one
// thread, and lumberjack compresses in another goroutine, so then it doesn't compress.
func (l *logFile) pass(lines *lineQueue) {
	file := l.rotating.Filename
	err := filerights.AsOwner(filepath.Dir(file), func() error {
		if err := shareLog(file); err != nil {
			fmt.Fprintf(l.console, "tlstunnel: letting the group read log file %q: %v\n", file, err)
		}
		lines.pass(l.write)
		_ = l.rotating.Close()
		return nil
	})
	if err != nil { // no line was written
		l.control.note(err)
		fmt.Fprintf(l.console, "tlstunnel: writing log file %q: %v\n", file, err)
		lines.pass(func(line []byte, _ int) { _, _ = l.fallback.Write(line) })
	}
}

type writerFunc func([]byte) error

func (f writerFunc) Write(p []byte) (int, error) { return len(p), f(p) }

// write writes a line. lost is the number of lines that were dropped before it.
func (l *logFile) write(line []byte, lost int) {
	if lost > 0 {
		l.own.Error("log lines were lost: the disk is too slow for them", "lines", lost)
	}
	err := l.writeLine(line)
	l.control.note(err)
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
	if size > 0 && size+int64(len(line)) > l.maxSize {
		err = l.rotate()
	}
	if err == nil {
		_, err = l.rotating.Write(line)
		l.lastSize += int64(len(line))
	}
	// On Windows a full file can't be renamed while a viewer has it open. Go on in the old
	// file, up to a limit.
	if err != nil && size > 0 && size <= 2*l.maxSize {
		if appendTo(l.rotating.Filename, line) == nil {
			err = nil
		}
	}
	l.torn = err != nil
	return err
}

// rotate closes the file; the next line opens the new one. lumberjack opens a file that it
// made itself without O_APPEND. If somebody empties such a file, the next line would go to the
// old offset, behind NUL bytes.
func (l *logFile) rotate() error {
	l.last, l.lastSize = nil, 0
	return errors.Join(l.rotating.Rotate(), l.rotating.Close())
}

// size returns the size of the file. It makes the file if there is none, and refuses what
// isn't a regular file: to rotate it would rename a device, or wait for the reader of a pipe.
func (l *logFile) size() (int64, error) {
	file := l.rotating.Filename
	info, err := os.Lstat(file)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createLog(file); err != nil {
			return 0, err
		}
		info, err = os.Lstat(file)
	}
	switch {
	case err != nil:
		return 0, err
	case !info.Mode().IsRegular():
		return 0, errors.New("it isn't a regular file; log.file = \"-\" logs to stderr")
	case l.last == nil || !sameLog(info, l.last) || info.Size() < l.lastSize:
		// Somebody has removed, replaced or emptied the file. lumberjack would go on in the
		// old file, or with the old size.
		_ = l.rotating.Close()
		l.lastSize = info.Size()
	}
	l.last = info
	return info.Size(), nil
}

// createLog makes the file. The group may read it if only the owner and the group may enter
// the folder, as in the installed service's folder. If lumberjack made it while an
// administrator runs the service by hand, it would belong to root, and the service couldn't
// write it.
func createLog(file string) error {
	dir := filepath.Dir(file)
	if err := atomicfile.MkdirAll(dir, atomicfile.Secret); err != nil {
		return err
	}
	access := atomicfile.Secret
	if forGroup(dir) {
		access = atomicfile.Group
	}
	if err := atomicfile.Create(file, nil, access); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func appendTo(file string, line []byte) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(line)
	return errors.Join(err, f.Close())
}
