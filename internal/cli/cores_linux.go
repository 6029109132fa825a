package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// keepOutOfCores keeps the keys that this process holds out of core files, and other
// processes of its user from reading its memory. The limit alone wouldn't do: a program
// that takes cores through a pipe, as Ubuntu's apport does, gets them all the same. An
// administrator who needs a core or a trace asks for it as of any Go program, by
// GOTRACEBACK=crash: then all stays as the system has it.
func keepOutOfCores() {
	if os.Getenv("GOTRACEBACK") == "crash" {
		return
	}
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
