//go:build !linux

package sock

// State is not ok: the system doesn't tell.
func (*Conn) State() (s State, ok bool) { return s, false }

// Unacknowledged is not ok where the system doesn't tell: there progress is only what our
// own writes have moved.
func (*Conn) Unacknowledged() (n int, ok bool) { return 0, false }

// takeError is nil where there is no State. Windows has no need of it: there every call on
// a connection that was reset says so.
func (*Conn) takeError() error { return nil }

// PeekLast is not ok where the system doesn't tell.
func (*Conn) PeekLast(int) (last []byte, ok bool) { return nil, false }

func (*Conn) sendBuffer() sendBuffer { return unknownBuffer }
