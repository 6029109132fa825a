package service

import (
	"io"
	"log/slog"

	"tlstunnel/internal/config"
)

// OpenLog returns the log that cfg describes and what closes it. Lines go to the
// file; to console when the file is "-", when somebody watches it (interactive),
// and when the file can't be written. Neither a broken log file nor a slow disk
// ever holds up who logs. Calling close writes out what is left; lines logged
// after it are lost.
func OpenLog(cfg config.Log, console io.Writer, interactive bool) (log *slog.Logger, close func()) {
	if cfg.File == config.Console {
		return slog.New(logHandler(cfg, console)), func() {}
	}
	file := openLogFile(cfg, console)
	handler := logHandler(cfg, file)
	if interactive {
		file.fallback = io.Discard // console has the lines anyway
		handler = slog.NewMultiHandler(handler, logHandler(cfg, console))
	}
	go file.writeLines()
	return slog.New(handler), file.close
}

func logHandler(cfg config.Log, w io.Writer) slog.Handler {
	var level slog.Level
	// The config's words are slog's own, and were checked when it was loaded.
	_ = level.UnmarshalText([]byte(cfg.Level))
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.NewJSONHandler(w, opts)
	}
	return slog.NewTextHandler(w, opts)
}
