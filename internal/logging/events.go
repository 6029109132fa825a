package logging

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"tlstunnel/internal/quote"
)

// EventID is the number of an event in the Windows Event Log. Administrators let their
// monitoring look for these numbers, so their meaning never changes. Windows shows an event
// with the text of EventCreate.exe, which has numbers from 1 to 1000.
type EventID uint32

// The events.
const (
	EventStarted       EventID = 100 // each tunnel listens or is left out
	EventStopped       EventID = 101 // stopped on request
	EventReloaded      EventID = 102
	EventRenewed       EventID = 103 // our own server certificate
	EventListensAgain  EventID = 104 // a tunnel that was left out listens now
	EventExpiry        EventID = 200 // a certificate expires soon, or isn't valid now
	EventLogFile       EventID = 201 // the log file can't be written
	EventConfig        EventID = 202 // another warning about the config
	EventACME          EventID = 203 // no new certificate from a public CA
	EventReloadRefused EventID = 300 // the config is wrong; nothing was changed
	EventFatal         EventID = 301 // the service can't start, or go on
	EventRefresh       EventID = 302 // a changed CRL or certificate can't be used
	EventRenewalFailed EventID = 303 // our own server certificate wasn't renewed; it is tried again
	EventLeftOut       EventID = 304 // a tunnel can't run yet; it is tried again
	EventCRLFailed     EventID = 305 // our own CA's CRL can't be written; it is tried again
)

// FatalMessage is the log message of a service that can't start or go on. The attribute err
// says why. It is a constant because package osservice looks for it in the log file.
const FatalMessage = "tlstunnel can't run"

// Messages are the log messages of the service itself, not of its connections, each with its
// event or 0. The Event Log gets those with an event, the journal of systemd all of them. Only
// the message decides: a logger with attributes, for example the name of a tunnel, also logs
// messages of the service.
type Messages map[string]EventID

func (m Messages) contain(message string) bool {
	_, ok := m[message]
	return ok
}

// maxEventText is the longest text of an event: Windows accepts 31,839 characters.
const maxEventText = 30000

// eventHandler is a [slog.Handler] that calls report for lines whose messages are events. It
// ignores the error of report: the other handlers must get the line even if the Event Log is
// full.
type eventHandler struct {
	known  Messages
	report func(id EventID, level slog.Level, text string) error
	attrs  []slog.Attr // the attributes of the logger; their keys have its groups
	groups string      // "a.b.": the prefix of later keys
}

func (h eventHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

func (h eventHandler) Handle(_ context.Context, r slog.Record) error {
	id := h.known[r.Message]
	if id == 0 {
		return nil
	}
	_ = h.report(id, r.Level, h.text(r))
	return nil
}

// WithAttrs and WithGroup make the loggers of tunnels, which have events, too.
func (h eventHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		h.attrs = append(h.attrs, slog.Attr{Key: h.groups + a.Key, Value: a.Value})
	}
	return h
}

func (h eventHandler) WithGroup(name string) slog.Handler {
	h.groups += name + "."
	return h
}

// text returns the text of an event: the message, and a line for each attribute.
func (h eventHandler) text(r slog.Record) string {
	var b strings.Builder
	b.WriteString(r.Message)
	add := func(key string, value slog.Value) {
		fmt.Fprintf(&b, "\r\n%s: %s", key, strings.ReplaceAll(quote.Lines(value.String()), "\n", "\r\n  "))
	}
	for _, a := range h.attrs {
		add(a.Key, a.Value)
	}
	r.Attrs(func(a slog.Attr) bool {
		add(h.groups+a.Key, a.Value)
		return true
	})
	if b.Len() > maxEventText {
		return strings.ToValidUTF8(b.String()[:maxEventText], "") + " ..."
	}
	return b.String()
}

// eventConsole is the stderr of a Windows service. It makes events of complaints about the log
// file, and drops the log lines that go to stderr if the file can't be written.
type eventConsole struct{ eventHandler }

func (c eventConsole) Write(p []byte) (int, error) {
	if text, ok := bytes.CutPrefix(p, []byte("tlstunnel: ")); ok {
		_ = c.report(EventLogFile, slog.LevelWarn, string(bytes.TrimSpace(text)))
	}
	return len(p), nil
}
