package tuning

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// timerSlack is how late the kernel may fire our timers, so that one wake-up serves several.
// Our timeouts don't need to be more exact than 2 ms. Don't raise it: before it steals
// a goroutine that was just started, the Go scheduler sleeps 3 µs (usleep in runqgrab), and
// the slack stretches that sleep too.
const timerSlack = 2 * time.Millisecond

// allowTimerSlack sets PR_SET_TIMERSLACK (prctl(2)) for all threads, those to come as well.
// sysmon, a thread of the Go runtime, looks every 20 µs whether another thread is stuck in a
// system call. With the usual slack of 50 µs, sysmon takes up to a fifth of the processor's
// time that new connections need.
//
// A build with cgo can't set it, and a sandbox may forbid it. Then we are only slower.
// AllThreadsSyscall sends each thread a signal. If a sandbox forbids such signals, it would
// wait for ever, so we try tgkill(2) first.
func allowTimerSlack() {
	if unix.Tgkill(unix.Getpid(), unix.Gettid(), 0) != nil {
		return
	}
	_, _, _ = syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0)
}
