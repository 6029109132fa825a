//go:build unix && !linux

package sock

import "golang.org/x/sys/unix"

func readNow(fd uintptr, b []byte) (int, error) {
	for {
		if n, err := unix.Read(int(fd), b); err != unix.EINTR {
			return max(0, n), err
		}
	}
}

func writeNow(fd uintptr, b []byte) (int, error) {
	for {
		if n, err := unix.Write(int(fd), b); err != unix.EINTR {
			return max(0, n), err
		}
	}
}
