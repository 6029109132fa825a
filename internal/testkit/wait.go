package testkit

import (
	"testing"
	"time"
)

// Reached polls until condition holds, and reports whether it came to that.
func Reached(condition func() bool) bool {
	for deadline := time.Now().Add(Patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// Eventually ends the test if condition never holds. It is for what gives no sign when it
// happens.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	if !Reached(condition) {
		t.Fatalf("waited in vain: %s", what)
	}
}

// AtOnce wants something to take no longer than 100 ms. It has several tries,
// since a busy machine holds up any of them; what waits for a timeout, or does
// too much, is slow in all.
func AtOnce(t *testing.T, what string, try func() (took time.Duration)) {
	t.Helper()
	var took time.Duration
	for range 10 {
		if took = try(); took <= 100*time.Millisecond || t.Failed() {
			return
		}
	}
	t.Errorf("%s took %v, and not much less in any other try", what, took)
}
