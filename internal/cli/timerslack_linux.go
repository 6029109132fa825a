package cli

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// timerSlack is how late the system may be with our timers, so as to wake us for
// several at once. Nothing that we time is more exact. Go's scheduler would be: before
// a thread takes over what another's goroutine has just started it waits 3 µs, which
// become as many as these. So more isn't better.
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
