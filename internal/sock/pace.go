package sock

import "time"

// pace is how much a connection reads at once. While its bytes can't be passed on, a chunk
// is held, and a second one with the TLS records made of it. So chunks are small
// until there is somebody who reads: more has left the system's send buffer than the
// system of a program that reads nothing takes. Before, they are large only while
// the send buffer has room for them. They are small again after one of them took long
// to pass on.
type pace struct {
	buffer func() sendBuffer // of the socket that the bytes go to; nil: unknown
	little bool              // see [Conn.ReadLittle]
	passed int64
	stream int  // how many reads may bring less than a small chunk until this is no stream any more
	isRead bool // the other end has taken more than it would without a reader
}

// sendBuffer is what the system has for a socket, in bytes of its memory. All that was
// written and not yet acknowledged is held there.
type sendBuffer struct{ size, held int }

// unknownBuffer is for a system that doesn't tell: Linux has some 4 MiB.
var unknownBuffer = sendBuffer{held: 8 << 20}

const (
	// Linux takes 128 KB for a program that reads nothing, and more only as it reads.
	takenUnread = 512 << 10
	longPass    = time.Second

	// A tunnel that is faster than the sender finds little now and then. If small chunks
	// followed, it would find more and more often little.
	shortReads = 16

	littleRead = 4 << 10 // a usual ClientHello, and a usual answer with two certificates
)

// next is how much the next read takes at the most.
func (p *pace) next() int {
	switch {
	case p.little:
		return littleRead
	case p.stream > 0 && (p.isRead || p.hasRoom()):
		return largeChunk
	default:
		return SmallChunk
	}
}

// hasRoom reports whether a large chunk can be passed on without waiting. It sets isRead.
func (p *pace) hasRoom() bool {
	if p.buffer == nil {
		return false
	}
	b := p.buffer()
	p.isRead = p.passed-int64(b.held) > takenUnread
	return p.isRead || b.size-b.held >= 2*largeChunk // what is held takes up to twice as much memory
}

// pass gives c, of which n bytes were read, to consume.
func (p *pace) pass(consume Consumer, c *Chunk, n int) (more bool) {
	if n >= SmallChunk {
		p.stream = shortReads
	} else if p.stream > 0 {
		p.stream--
	}
	p.passed += int64(n)
	if c.Size() == SmallChunk {
		return consume(c, c.B[:n])
	}
	began := time.Now()
	more = consume(c, c.B[:n])
	if time.Since(began) > longPass {
		p.passed, p.isRead = 0, false
	}
	return more
}
