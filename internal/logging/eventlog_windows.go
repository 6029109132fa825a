package logging

import (
	"io"
	"log/slog"

	"golang.org/x/sys/windows/svc/eventlog"
)

// EventLog is the Application log of Windows.
type EventLog struct {
	slog.Handler           // writes the events of the service itself
	Console      io.Writer // stands in for stderr, which a Windows service doesn't have

	log *eventlog.Log
}

// OpenEventLog opens the Application log for the events of source. The caller must call
// Close.
func OpenEventLog(source string, own Messages) (*EventLog, error) {
	l, err := eventlog.Open(source)
	if err != nil {
		return nil, err
	}
	e := &EventLog{log: l}
	handler := eventHandler{known: own, report: e.report}
	e.Handler, e.Console = handler, eventConsole{handler}
	return e, nil
}

// Close closes the Application log.
func (e *EventLog) Close() error { return e.log.Close() }

func (e *EventLog) report(id EventID, level slog.Level, text string) error {
	switch {
	case level >= slog.LevelError:
		return e.log.Error(uint32(id), text)
	case level >= slog.LevelWarn:
		return e.log.Warning(uint32(id), text)
	default:
		return e.log.Info(uint32(id), text)
	}
}
