// Package logging writes the log: slog to a rotating file, a console, the journal of
// systemd and the Event Log of Windows. It never holds up the code that logs: a queue takes
// the lines, and counts those that a slow disk makes it drop. It knows neither what is
// logged nor why: the caller says which [Messages] are the service's own.
//
//	control := new(logging.Control)
//	log, closeLog := logging.Open(cfg.Log, control, os.Stderr, false, messages)
//	defer closeLog()
package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"

	"tlstunnel/internal/config"
	"tlstunnel/internal/quote"
)

// Control sets the level of a log while it is open, and knows whether its file takes
// the lines.
type Control struct {
	slog.LevelVar
	failure atomic.Value // string
}

// Failure is why the last line isn't in the log file; "" if it is.
func (c *Control) Failure() string {
	failure, _ := c.failure.Load().(string)
	return failure
}

func (c *Control) note(err error) {
	failure := ""
	if err != nil {
		failure = err.Error()
	}
	if failure != c.Failure() {
		c.failure.Store(failure)
	}
}

// Open returns the log that cfg describes and what closes it. Lines go to the
// file; to console if the file is "-", if somebody watches it (interactive), and if
// the file can't be written. If console is the journal of systemd, it gets only the
// lines of the service itself, such as start, stop and reload, whose messages are in
// own. Neither a broken log file nor a slow disk ever holds up the code that logs. Calling
// close writes out what is left; lines logged after it are lost. The level starts as cfg
// has it; control sets it at any time.
func Open(cfg config.Log, control *Control, console io.Writer, interactive bool, own Messages) (log *slog.Logger, close func()) {
	control.Set(LevelOf(cfg))
	queued := newLineQueue()
	go queued.pass(consoleWriter(console))
	if cfg.File == config.Console {
		return slog.New(logHandler(cfg, control, queued)), queued.close
	}
	lines, file := newLineQueue(), openLogFile(cfg, control, queued)
	handler := logHandler(cfg, control, lines)
	switch {
	case interactive:
		file.fallback = io.Discard // console has the lines anyway
		handler = slog.NewMultiHandler(handler, logHandler(cfg, control, queued))
	case isJournal(console):
		handler = slog.NewMultiHandler(handler, headlineHandler{slog.NewTextHandler(queued, &slog.HandlerOptions{ReplaceAttr: noTime}), own})
	}
	go file.pass(lines)
	return slog.New(handler), func() {
		lines.close()
		queued.close()
	}
}

// consoleWriter writes lines to console, which may be a terminal that somebody
// has stopped, or a pipe that nobody reads.
func consoleWriter(console io.Writer) func(line []byte, lost int) {
	return func(line []byte, lost int) {
		if lost > 0 {
			fmt.Fprintf(console, "tlstunnel: %d log lines were lost here: nobody took them\n", lost)
		}
		_, _ = console.Write(line)
	}
}

// LevelOf is the level that cfg has.
func LevelOf(cfg config.Log) (level slog.Level) {
	// The config's words are slog's own, and were checked when it was loaded.
	_ = level.UnmarshalText([]byte(cfg.Level))
	return level
}

func logHandler(cfg config.Log, level slog.Leveler, w io.Writer) slog.Handler {
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.NewJSONHandler(quote.Writer(w), opts) // slog leaves 8-bit control characters as they are
	}
	return slog.NewTextHandler(w, opts)
}

// headlineHandler passes on the lines of the service itself, and none of its
// connections'.
type headlineHandler struct {
	slog.Handler
	own Messages
}

func (h headlineHandler) Handle(ctx context.Context, r slog.Record) error {
	if !h.own.contain(r.Message) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h headlineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return headlineHandler{h.Handler.WithAttrs(attrs), h.own}
}

func (h headlineHandler) WithGroup(name string) slog.Handler {
	return headlineHandler{h.Handler.WithGroup(name), h.own}
}

// noTime leaves out the time, which the journal knows.
func noTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}
