//go:build unix && !linux

package sock

// inqReader reads. Only Linux tells with a read whether the queue is empty.
type inqReader struct{ empty bool }

func (*inqReader) read(fd uintptr, b []byte) (int, error) { return readNow(fd, b) }
