package backoff

import (
	"testing"
	"time"
)

// TestDoubling: the wait grows from the shortest to the longest. It is never zero and never
// longer than that.
func TestDoubling(t *testing.T) {
	d := Doubling{First: time.Minute, Most: 6 * time.Hour}
	for failures, want := range map[int]time.Duration{
		1: time.Minute, 2: 2 * time.Minute, 8: 128 * time.Minute, 9: 256 * time.Minute, 10: 6 * time.Hour, 1 << 40: 6 * time.Hour,
	} {
		if got := d.After(failures); got != want {
			t.Errorf("%d: got %v, want %v", failures, got, want)
		}
		if least, most := d.Spread(failures, 0), d.Spread(failures, 1); least != want/2 || most != want {
			t.Errorf("%d: got %v to %v, want %v to %v", failures, least, most, want/2, want)
		}
	}
}
