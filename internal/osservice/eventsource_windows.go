package osservice

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/windows/registry"
	"golang.org/x/sys/windows/svc/eventlog"
)

const (
	eventSource = Name
	eventKey    = `SYSTEM\CurrentControlSet\Services\EventLog\Application\` + eventSource
	eventTypes  = eventlog.Error | eventlog.Warning | eventlog.Info
)

// EventSourceRegistered reports whether Windows knows the source of our events. Without it,
// Windows adds a complaint to each event.
func EventSourceRegistered() (bool, error) {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, eventKey, registry.QUERY_VALUE)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer k.Close()
	file, _, err := k.GetStringValue("EventMessageFile")
	return file != "" && err == nil, nil
}

// RegisterEventSource registers the source of our events, so that Windows shows their text
// unchanged.
func RegisterEventSource() error {
	if err := UnregisterEventSource(); err != nil {
		return err
	}
	return eventlog.InstallAsEventCreate(eventSource, eventTypes)
}

// UnregisterEventSource removes the registration. It is no error if there is none.
func UnregisterEventSource() error {
	if err := eventlog.Remove(eventSource); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
