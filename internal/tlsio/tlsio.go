// Package tlsio is crypto/tls over a socket, for a program that moves bytes. It reads
// more at once than crypto/tls asks for, makes one write of several records, holds a
// server's session ticket back until there are bytes to send, and takes back the
// buffers of a connection that is idle. It shows each record of a handshake before
// crypto/tls gets it. It verifies nothing by itself, starts no goroutine and logs nothing.
//
//	c := tlsio.Server(socket, config)
//	c.AwaitRecord()
//	err := c.Handshake(ctx, tlsio.Watch{})
//	err = c.Receive(consume) // as of the socket, but decrypted
//
// Closing is for the owner of the socket: crypto/tls's own Close may wait.
package tlsio

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"sync/atomic"

	"tlstunnel/internal/sock"
)

// A Conn is one connection with TLS. One goroutine may receive while another one writes.
type Conn struct {
	socket    *sock.Conn
	tls       *tls.Conn
	transport transport
	internals internals
	accepted  bool // it is a server

	endsWithAlert atomic.Bool // see SawCloseNotify
}

// Server is the side that accepts. Its handshake is still to come.
func Server(socket *sock.Conn, config *tls.Config) *Conn {
	c := newConn(socket)
	c.accepted, c.transport.holdsTicket = true, true
	return c.over(tls.Server(&c.transport, config))
}

// Client is the side that dialled. Its handshake is still to come.
func Client(socket *sock.Conn, config *tls.Config) *Conn {
	c := newConn(socket)
	return c.over(tls.Client(&c.transport, config))
}

func newConn(socket *sock.Conn) *Conn {
	socket.ReadLittle(true)
	return &Conn{socket: socket, transport: transport{Conn: socket}}
}

func (c *Conn) over(t *tls.Conn) *Conn {
	c.tls, c.internals = t, internalsOf(t)
	return c
}

// AwaitRecord waits for the first record. In crypto/tls the wait would hold a large stack.
// Here a peer that stays silent costs little memory.
func (c *Conn) AwaitRecord() { c.transport.awaitRecord() }

// Handshake shows w what the other end says. ctx is only for the callbacks of the
// config: a deadline of the socket ends a handshake. After an error c can't be used any more.
func (c *Conn) Handshake(ctx context.Context, w Watch) error {
	t := &c.transport
	t.handshake = &handshake{watch: w, internals: &c.internals}
	if err := c.tls.HandshakeContext(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	t.handshake, t.holdsTicket, t.established = nil, false, true
	c.socket.ReadLittle(false)
	return nil
}

// ConnectionState is that of crypto/tls.
func (c *Conn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// Receive gives consume what comes, decrypted, as [sock.Conn.Receive] does. At a
// close_notify, and at a FIN between two records, it returns [io.EOF]: see
// [Conn.EndedByFIN].
func (c *Conn) Receive(consume sock.Consumer) error {
	// Data may have come in the same packet as the end of the handshake.
	more, err := c.decrypt(nil, consume)
	if !more {
		return err
	}
	ended := c.socket.Receive(func(from *sock.Chunk, b []byte) bool {
		c.transport.ahead = b
		more, err = c.decrypt(from, consume)
		return more
	})
	if !more {
		return err
	}
	if errors.Is(ended, os.ErrDeadlineExceeded) {
		return ended
	}
	// crypto/tls tells whether the stream ends within a record.
	c.transport.end(ended)
	_, err = c.decrypt(nil, consume)
	return err
}

// decrypt gives consume what can be decrypted of the bytes in ahead, and releases from, the
// chunk that holds them. The plaintext is no longer than these bytes and the part of a record
// that the read before left behind. A chunk of the same size, with its spare room, holds both.
func (c *Conn) decrypt(from *sock.Chunk, consume sock.Consumer) (more bool, err error) {
	size := sock.SmallChunk
	if from != nil {
		size = from.Size()
	}
	to, n := sock.GetChunk(size), 0
	for err == nil {
		var read int
		read, err = c.tls.Read(to.B[n:])
		n += read
		if err == nil && len(c.transport.ahead) == 0 && c.internals.areEmpty() {
			break // another Read would allocate an atLeastReader in crypto/tls, and get errNothingYet
		}
	}
	if from != nil {
		c.transport.ahead = nil
		from.Release()
	}
	if err == io.EOF && !c.transport.fin {
		c.endsWithAlert.Store(true)
	}
	if err == errNothingYet {
		err = nil
		if c.accepted && len(c.internals.begun()) > maxLateMessage {
			err = errLongMessage
		}
	}
	if n == 0 {
		to.Release()
		return err == nil, err
	}
	return consume(to, to.B[:n]) && err == nil, err
}

// maxLateMessage is how much of a handshake message a server waits with, in bytes, once its
// handshake is over. A client sends nothing longer than a KeyUpdate then (RFC 8446, section
// 4.6). crypto/tls would hold up to 64 KiB of a message for as long as the connection lasts.
const maxLateMessage = 1 << 10

var errLongMessage = errors.New("tlsio: a long handshake message after the handshake")

// ReleaseBuffers is for a connection that is idle, between two calls of Receive.
// crypto/tls keeps the memory of the largest record that came.
func (c *Conn) ReleaseBuffers() { c.internals.releaseBuffers() }

// Write makes one write of several records. An error may be that of an earlier write.
func (c *Conn) Write(b []byte) (int, error) {
	if len(b) > MaxRecord {
		c.transport.gather(len(b))
	}
	n, err := c.tls.Write(b)
	if flushed := c.transport.flush(); err == nil && flushed != nil {
		return 0, flushed
	}
	return n, err
}

// CloseWrite ends our stream with a close_notify. It sends no FIN.
func (c *Conn) CloseWrite() error {
	err := c.tls.CloseWrite()
	if err == nil {
		err = c.transport.flush()
	}
	return err
}

// SendTicket sends the session ticket that is held back, if nothing else is being
// sent. All that the client has sent must have come.
func (c *Conn) SendTicket() { c.transport.sendTicket() }

// EndedByFIN reports whether the stream of the other end has ended by a FIN: crypto/tls
// reports one without a close_notify as it does a close_notify. It is for the
// goroutine that receives, or after it.
func (c *Conn) EndedByFIN() bool { return c.transport.fin }

// SocketFailed reports whether no more can be read from the socket, FIN or error. It is for
// the goroutine that receives.
func (c *Conn) SocketFailed() bool { return c.transport.readErr != nil }

// SawCloseNotify reports whether a close_notify was read. What came before may not have
// been consumed yet.
func (c *Conn) SawCloseNotify() bool { return c.endsWithAlert.Load() }

// MayEndInAlert reports whether the last of the bytes that wait to be read is an
// alert of TLS, or may be one: in TLS 1.3 it looks like two bytes of data. It is true
// if none wait, or the system doesn't tell.
func (c *Conn) MayEndInAlert() bool {
	last, ok := c.socket.PeekLast(128) // longer than any alert
	return !ok || endsInAlert(last)
}

// SentAlert reports whether the last thing that was sent is an alert.
func (c *Conn) SentAlert() bool { return c.transport.sentAlert() }

// Received reports whether at least a byte of a handshake has come.
func (c *Conn) Received() bool { return c.transport.received }

// First returns the first bytes that came: for example a ClientHello up to its server name, or what a
// program without TLS says. It is nil after ForgetFirst.
func (c *Conn) First() []byte { return c.transport.first }

// ForgetFirst is for when there is nothing to explain any more.
func (c *Conn) ForgetFirst() { c.transport.first = nil }

// SentFirst is how many bytes were sent before any came.
func (c *Conn) SentFirst() int { return c.transport.sentFirst }

// PlainAlert is the alert that the other end sent last, if it sent it unencrypted. An
// OpenSSL client that refuses our certificate does so even in TLS 1.3, where
// crypto/tls says "bad record MAC" of it (https://go.dev/issue/76767).
func (c *Conn) PlainAlert() (code uint8, ok bool) { return c.transport.plainAlert() }
