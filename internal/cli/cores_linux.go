package cli

import "golang.org/x/sys/unix"

// keepOutOfCores keeps the keys that this process holds out of core files, and other
// processes of its user from reading its memory. The limit alone wouldn't do: a program
// that takes cores through a pipe, as Ubuntu's apport does, gets them all the same.
func keepOutOfCores() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
