//go:build unix

package sock

import "syscall"

const errPipe = syscall.EPIPE
