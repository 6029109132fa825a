// Package logging writes the log: slog to a rotating file, a console, the journal of
// systemd and the Event Log of Windows. It never blocks the code that logs: lines go into a
// queue, and if a slow disk fills it, lines are dropped and counted. The caller says which
// [Messages] are the service's own.
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

// Control sets the level of an open log, and knows whether its file can be written.
type Control struct {
	slog.LevelVar
	failure atomic.Value // string
}

// Failure returns why the last line couldn't be written to the log file, "" if it could.
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

// Open returns the log that cfg describes and a function that closes it. Lines go to the file.
// They go to console if the file is "-", if the console is interactive, or if the file can't be
// written. If console is the journal of systemd, it gets only the lines of the service itself,
// such as start, stop and reload: those whose messages are in own. Neither a broken log file
// nor a slow disk blocks the code that logs. Closing writes the queued lines; later lines are
// lost. The level begins as in cfg, and control can change it at any time.
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

// consoleWriter writes lines to console without blocking the caller: console may be a stopped
// terminal, or a pipe that nobody reads.
func consoleWriter(console io.Writer) func(line []byte, lost int) {
	return func(line []byte, lost int) {
		if lost > 0 {
			fmt.Fprintf(console, "tlstunnel: %d log lines were lost here: nobody took them\n", lost)
		}
		_, _ = console.Write(line)
	}
}

// LevelOf returns the level in cfg.
func LevelOf(cfg config.Log) (level slog.Level) {
	// The config uses slog's own words. Loading has checked them.
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

// headlineHandler passes on only the lines of the service itself, not those of connections.
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

// noTime leaves out the time: the journal adds its own.
func noTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}
