package osservice

import (
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"tlstunnel/internal/logging"
)

// failureIn returns why the service last ended, from the text of a log in either format. It
// ignores lines before since. It returns "" if the log has no reason.
func failureIn(log string, since time.Time) (reason string) {
	since = since.Truncate(time.Millisecond) // the log has milliseconds
	for line := range strings.Lines(log) {
		if entry := parseLine(line); entry.Msg == logging.FatalMessage && !entry.Time.Before(since) {
			reason = entry.Err
		}
	}
	return reason
}

// logEntry has the needed attributes of a log line.
type logEntry struct {
	Time time.Time `json:"time"`
	Msg  string    `json:"msg"`
	Err  string    `json:"err"`
}

// parseLine returns the zero value for a line that tlstunnel didn't write.
func parseLine(line string) logEntry {
	var e logEntry
	if strings.HasPrefix(line, "{") {
		if json.Unmarshal([]byte(line), &e) != nil {
			return logEntry{}
		}
		return e
	}
	for rest := strings.TrimSpace(line); rest != ""; {
		key, value, ok := strings.Cut(rest, "=")
		if !ok {
			return logEntry{}
		}
		if value, rest, ok = cutValue(value); !ok {
			return logEntry{}
		}
		switch key {
		case slog.TimeKey:
			e.Time, _ = time.Parse(time.RFC3339, value)
		case slog.MessageKey:
			e.Msg = value
		case "err":
			e.Err = value
		}
	}
	return e
}

// cutValue cuts the first value off the rest of a line of slog's text format.
func cutValue(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		value, rest, _ = strings.Cut(text, " ")
		return value, rest, true
	}
	quoted, err := strconv.QuotedPrefix(text)
	if err != nil {
		return "", "", false
	}
	value, err = strconv.Unquote(quoted)
	return value, strings.TrimPrefix(text[len(quoted):], " "), err == nil
}
