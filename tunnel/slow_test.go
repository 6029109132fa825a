package tunnel

import "testing"

// These tests must wait for seconds, so they run in parallel.
func TestSlow(t *testing.T) {
	leakCheck(t)
	for name, test := range map[string]func(*testing.T){
		"accept backs off": testAcceptBacksOff,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}
