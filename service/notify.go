package service

import (
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"tlstunnel/internal/date"
)

// The states that we send to systemd (sd_notify(3)). Without systemd they go nowhere.
const (
	notifyReady     = daemon.SdNotifyReady
	notifyReloading = daemon.SdNotifyReloading
	notifyStopping  = daemon.SdNotifyStopping
	notifyAlive     = daemon.SdNotifyWatchdog
)

// notify tells systemd the state. With notifyReady it adds a summary for `systemctl status`.
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

// newWatchdog returns a ticker that ticks twice within the watchdog time of systemd. Without a
// watchdog it never ticks.
func newWatchdog() *time.Ticker {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval <= 0 {
		t := time.NewTicker(time.Hour)
		t.Stop()
		return t
	}
	return time.NewTicker(interval / 2)
}
