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

// complainEvery is how often a broken log file is complained about.
const complainEvery = time.Minute

// logFile is a rotating log file. It is the one place that knows lumberjack and
// its traps, and is used by one goroutine.
type logFile struct {
	rotating *lumberjack.Logger
	maxSize  int64
	control  *Control     // is told how it goes
	console  io.Writer    // told when the file can't be written
	fallback io.Writer    // takes the lines that the file can't
	own      *slog.Logger // writes into the file what the log has to say of itself

	torn       bool // the last line may be there in part
	quietUntil time.Time

	// The file that lumberjack has open, and its size after the last line; nil and 0
	// when it has none.
	last     os.FileInfo
	lastSize int64
}

func openLogFile(cfg config.Log, control *Control, console io.Writer) *logFile {
	l := &logFile{
		rotating: &lumberjack.Logger{
			Filename:   cfg.File,
			MaxSize:    1 << 30, // MiB: never by itself, see rotate
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

// pass takes what is queued until the queue is closed. In a folder of the service's
// account, where root may try the service by hand, it has that account's rights: no
// link there leads it to a file of somebody else. (lumberjack compresses in a goroutine
// of its own, and so not there.)
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
	if err != nil { // nothing has been passed
		l.control.note(err)
		fmt.Fprintf(l.console, "tlstunnel: writing log file %q: %v\n", file, err)
		lines.pass(func(line []byte, _ int) { _, _ = l.fallback.Write(line) })
	}
}

type writerFunc func([]byte) error

func (f writerFunc) Write(p []byte) (int, error) { return len(p), f(p) }

// write takes a line, and the number of lines that were lost before it.
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
	// A full file can't be renamed on Windows while a viewer has it open. Go on in the
	// old file, but not for ever.
	if err != nil && size > 0 && size <= 2*l.maxSize {
		if appendTo(l.rotating.Filename, line) == nil {
			err = nil
		}
	}
	l.torn = err != nil
	return err
}

// rotate leaves it to the next line to open the new file. lumberjack opens what it has
// made itself without O_APPEND: once somebody has emptied such a file, the next line
// would go to where the old end was, after so many NUL bytes.
func (l *logFile) rotate() error {
	l.last, l.lastSize = nil, 0
	return errors.Join(l.rotating.Rotate(), l.rotating.Close())
}

// size is that of the file, which it makes if there is none. Rotating what isn't a
// regular file would rename a device, or wait for the reader of a pipe.
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
		// Somebody has removed, replaced or emptied it: lumberjack would go on in the
		// old file, or count on from the old size.
		_ = l.rotating.Close()
		l.lastSize = info.Size()
	}
	l.last = info
	return info.Size(), nil
}

// createLog makes the file, for the group too if that may enter the folder and nobody
// else may: as the installed service's. By lumberjack it would be root's if an
// administrator tries the service by hand, and the service couldn't write it.
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
