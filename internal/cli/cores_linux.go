package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// keepOutOfCores keeps the keys of this process out of core files. It also stops other processes of
// the same user from reading its memory. RLIMIT_CORE alone isn't enough: the kernel ignores it if
// core_pattern is a pipe to a program, such as Ubuntu's apport. PR_SET_DUMPABLE works there, too.
// An administrator who needs a core or a trace sets GOTRACEBACK=crash, as for any Go program. Then
// keepOutOfCores changes nothing.
func keepOutOfCores() {
	if os.Getenv("GOTRACEBACK") == "crash" {
		return
	}
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
