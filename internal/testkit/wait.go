package testkit

import (
	"testing"
	"time"
)

// Reached polls until condition holds, or Patience is over. It reports whether the condition holds.
func Reached(condition func() bool) bool {
	for deadline := time.Now().Add(Patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// Eventually ends the test if condition never holds. Use it only for events that can't be waited
// for in another way.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	if !Reached(condition) {
		t.Fatalf("waited in vain: %s", what)
	}
}

// AtOnce fails the test if something takes longer than 100 ms in each of several tries. A busy
// machine delays a single try. Code that waits for a timeout, or does too much, is slow in all.
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
