package date

import (
	"testing"
	"time"
)

// TestLocal: dates are in this machine's time zone, whatever zone a certificate has them in.
func TestLocal(t *testing.T) {
	defer func(zone *time.Location) { time.Local = zone }(time.Local)
	time.Local = time.FixedZone("", 9*60*60+30*60)
	end := time.Date(2026, 11, 23, 23, 40, 0, 5, time.UTC)
	if got, want := Time(end), "2026-11-24 09:10:00 +09:30"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := Day(end), "2026-11-24"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
