package sock

import "time"

// pace chooses how much a connection reads at once. If the other side of a relay takes
// nothing, the relay holds a chunk, and a second one with the TLS records made of it. So
// chunks are small at first. They become large when a program reads the bytes: more has
// left the send buffer than a system takes for a program that reads nothing. Before that,
// they are large only while the send buffer has room for a large chunk. They become small
// again after a chunk took more than a second to pass on.
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

	// If the tunnel is faster than the sender, some reads find little. If small chunks
	// followed, the tunnel would find little more and more often.
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
