package cli

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// timerSlack is how late the system may be with our timers, so as to wake us for
// several at once. Our timeouts don't need more than 2 ms. Don't raise it: before it steals
// a goroutine that was just started, the Go scheduler sleeps 3 µs (usleep in runqgrab), and
// the slack stretches that sleep too.
const timerSlack = 2 * time.Millisecond

// allowTimerSlack is for all threads, those to come as well. One of Go's looks every
// 20 µs whether another is stuck in a system call. With the 50 µs of slack that are
// usual it takes up to a fifth of the processor's time that new connections need.
//
// A build with cgo can't do it, and a sandbox may forbid it: then we are slower, and
// that is all. Where threads can't be sent signals, Go would wait for them for ever.
func allowTimerSlack() {
	if unix.Tgkill(unix.Getpid(), unix.Gettid(), 0) != nil {
		return
	}
	_, _, _ = syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0)
}
