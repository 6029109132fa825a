package cli

import (
	"strings"
	"testing"
	"time"

	"tlstunnel/service"
)

// TestStatusACME: a reload is advised only where it helps.
func TestStatusACME(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.Local)
	for _, tt := range []struct {
		notBefore time.Time
		want      string
	}{
		{time.Time{}, "too many; the CA is asked again at 2026-11-25 14:00:30, or at once by `tlstunnel reload`"},
		{now, "too many; the CA is asked again at 2026-11-25 14:00:30, or at once by `tlstunnel reload`"},
		{now.Add(2 * time.Hour), "too many; the CA is asked again at 2026-11-25 14:00:30, and not before 2026-11-25 14:00:00 by `tlstunnel reload` either, as the CA wants"},
	} {
		var s statusAnswer
		s.Tunnels = []service.TunnelStatus{{Name: "pacs", ACME: &service.ACMEStatus{
			Failure: "too many", Next: now.Add(2*time.Hour + 30*time.Second), NotBefore: tt.notBefore}}}
		s.checkExpiry(now)
		if len(s.Problems) != 1 || !strings.HasSuffix(s.Problems[0], tt.want) {
			t.Errorf("got %q, want %q", s.Problems, tt.want)
		}
	}
}
