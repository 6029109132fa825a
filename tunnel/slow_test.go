package tunnel

import "testing"

// What must take seconds takes them side by side.
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
