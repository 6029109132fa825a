package service

import (
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"tlstunnel/internal/date"
)

// What the service manager is told (sd_notify(3)). Without systemd nobody
// listens.
const (
	notifyReady     = daemon.SdNotifyReady
	notifyReloading = daemon.SdNotifyReloading
	notifyStopping  = daemon.SdNotifyStopping
	notifyAlive     = daemon.SdNotifyWatchdog
)

// notify tells systemd the state and, with ready, what there is to know at a
// glance.
func (s *Service) notify(state string) {
	switch state {
	case notifyReady:
		state += "\nSTATUS=" + s.summary()
	case notifyReloading:
		state += "\n" + daemon.SdNotifyMonotonicUsec()
	}
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.log.Debug("systemd can't be told the state", "err", err)
	}
}

func (s *Service) summary() string {
	st := s.Status()
	text := fmt.Sprintf("tunnels: %d", len(st.Tunnels))
	if out := s.leftOutNames(); len(out) > 0 {
		text += ", left out: " + strings.Join(out, " ")
	}
	if first := st.firstExpiry(); !first.IsZero() {
		text += ", first certificate expires on " + date.Day(first)
	}
	return text
}

// newWatchdog ticks twice as often as systemd wants to hear from us, or never.
func newWatchdog() *time.Ticker {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval <= 0 {
		t := time.NewTicker(time.Hour)
		t.Stop()
		return t
	}
	return time.NewTicker(interval / 2)
}
