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

// EventID says in the Windows Event Log what has happened. The numbers are what
// people's monitoring looks for: they never change their meaning. Windows shows
// them with the text of EventCreate.exe, which has 1 to 1000.
type EventID uint32

// The events.
const (
	EventStarted       EventID = 100 // every tunnel that can listens
	EventStopped       EventID = 101 // as asked
	EventReloaded      EventID = 102
	EventRenewed       EventID = 103 // our own server certificate
	EventListensAgain  EventID = 104 // a tunnel that was left out listens
	EventExpiry        EventID = 200 // a certificate expires soon, or isn't valid now
	EventLogFile       EventID = 201 // the log file can't be written
	EventConfig        EventID = 202 // another warning about the config
	EventACME          EventID = 203 // no new certificate from a public CA
	EventReloadRefused EventID = 300 // the config is wrong; nothing was changed
	EventFatal         EventID = 301 // the service can't start, or go on
	EventRefresh       EventID = 302 // a changed CRL or certificate can't be used
	EventRenewalFailed EventID = 303 // it is tried again
	EventLeftOut       EventID = 304 // a tunnel can't run yet; it is tried again
	EventCRLFailed     EventID = 305 // our own CA's CRL can't be written; it is tried again
)

// FatalMessage is what a service logs that can't start, or go on. The attribute err says
// why. It is a constant because package osservice looks for it in the log file.
const FatalMessage = "tlstunnel can't run"

// Messages are those of the service itself, not of its connections: each with its event,
// or with 0 if it is none. The Event Log gets the events, the journal of systemd all of
// them. The message alone decides: a logger that was made With something, the name of a
// tunnel say, may have news of the service, too.
type Messages map[string]EventID

func (m Messages) contain(message string) bool {
	_, ok := m[message]
	return ok
}

// maxEventText bounds the text of an event: Windows takes 31,839 characters.
const maxEventText = 30000

// eventHandler is a [slog.Handler] that hands to report the lines whose messages are
// events. It ignores the error of report: a full Event Log must not keep a line from the
// other handlers.
type eventHandler struct {
	known  Messages
	report func(id EventID, level slog.Level, text string) error
	attrs  []slog.Attr // of the logger, their keys with its groups
	groups string      // "a.b.": for the keys that follow
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

// text is for people: the message, and a line for each attribute.
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

// eventConsole makes events of the complaints that would go to stderr, and drops
// the log lines that go there when the log file can't be written.
type eventConsole struct{ eventHandler }

func (c eventConsole) Write(p []byte) (int, error) {
	if text, ok := bytes.CutPrefix(p, []byte("tlstunnel: ")); ok {
		_ = c.report(EventLogFile, slog.LevelWarn, string(bytes.TrimSpace(text)))
	}
	return len(p), nil
}
