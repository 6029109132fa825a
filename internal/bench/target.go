package bench

import (
	"io"
	"net"
	"sync/atomic"
)

// target is the service behind a tunnel.
type target struct{ listener net.Listener }

// serveTarget serves each connection in the same way, until its end or an error.
func serveTarget(does func(net.Conn)) (*target, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &target{l}
	go t.serve(does)
	return t, nil
}

func (t *target) serve(does func(net.Conn)) {
	for {
		c, err := t.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			does(c)
		}()
	}
}

func (t *target) addr() string { return t.listener.Addr().String() }

// dial connects to the target without a tunnel.
func (t *target) dial() (net.Conn, error) { return net.Dial("tcp", t.addr()) }

// block is how many bytes are written or read at once.
const block = 64 << 10

func send(c net.Conn) {
	for b := make([]byte, block); ; {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

func receive(c net.Conn, count *atomic.Int64) {
	for b := make([]byte, block); ; {
		n, err := c.Read(b)
		count.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// echo copies in user space: the kernel's splice would make it faster than the tunnel beside it.
func echo(c net.Conn) {
	_, _ = io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{c}, make([]byte, 4<<10))
}
