//go:build unix && !linux

package tunnel

// left reads, and doesn't know whether anything is left to be read.
type left struct{ nothing bool }

func (*left) read(fd uintptr, b []byte) (int, error) { return readNow(fd, b) }
