package sock

import (
	"syscall"
	"unsafe"
)

// These are for sockets that don't wait. They don't tell Go's scheduler of the
// system call: it would take this for one that may wait, and hand what else there
// is to do to another thread whenever it takes over 20 µs, as a large read or write
// does. To look for that took an eighth of the processor's time.

func readNow(fd uintptr, b []byte) (int, error) {
	return rawIO(syscall.SYS_READ, fd, unsafe.Pointer(unsafe.SliceData(b)), len(b))
}

func writeNow(fd uintptr, b []byte) (int, error) {
	return rawIO(syscall.SYS_WRITE, fd, unsafe.Pointer(unsafe.SliceData(b)), len(b))
}

func rawIO(call, fd uintptr, p unsafe.Pointer, size int) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(call, fd, uintptr(p), uintptr(size))
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
