package tunnel

import (
	"sync"
	"time"
)

// chunkSize is what one read takes at the most: twelve TLS records. With fewer,
// system calls cost more; with more, it is only memory that does.
const chunkSize = 192 << 10

// smallChunk is what one read takes at first: the largest record that there may be,
// and some. All of a small chunk, with its headroom, is 40 KiB.
const smallChunk = 40<<10 - headroom

// chunk holds bytes on their way. Nobody has one while nothing moves: an idle
// connection is to cost little. Reads leave its first headroom bytes free.
type chunk struct{ b []byte }

// headroom is what a record of TLS needs at the most (RFC 5246, section 6.2.3;
// later ones need less). What came of one goes there, before the rest of it; and
// there is room for what encryption adds to chunkSize bytes.
const headroom = 5 + maxRecord + 2048

// maxRecord is what a record of TLS carries at the most (RFC 8446, section 5.1).
const maxRecord = 16 << 10

var (
	smallChunks = sync.Pool{New: func() any { return &chunk{make([]byte, headroom+smallChunk)} }}
	largeChunks = sync.Pool{New: func() any { return &chunk{make([]byte, headroom+chunkSize)} }}
)

// takeChunk is a chunk for size bytes behind its headroom, at most chunkSize.
func takeChunk(size int) *chunk {
	if size <= smallChunk {
		return smallChunks.Get().(*chunk)
	}
	return largeChunks.Get().(*chunk)
}

// giveBack is for when nobody needs what c holds any more.
func (c *chunk) giveBack() {
	if c.size() <= smallChunk {
		smallChunks.Put(c)
	} else {
		largeChunks.Put(c)
	}
}

// size is what a read into c takes at the most.
func (c *chunk) size() int { return len(c.b) - headroom }

// pace is how much a direction reads at once. While it can't pass on a chunk, it
// holds it, and a second one with the TLS records made of it. So chunks are small
// until there is somebody who reads: more has left the system's send buffer than the
// system of a program that reads nothing takes. Before, they are large only while
// the send buffer has room for them. They are small again after one of them took long
// to pass on.
type pace struct {
	buffer func() sendBuffer // of the socket that the bytes go to; nil: unknown
	early  bool              // the handshake isn't over: the other end has proved nothing
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

	earlyRead = 4 << 10 // a usual ClientHello, and a usual answer with two certificates
)

// next is how much the next read takes at the most.
func (p *pace) next() int {
	switch {
	case p.early:
		return earlyRead
	case p.stream > 0 && (p.isRead || p.hasRoom()):
		return chunkSize
	default:
		return smallChunk
	}
}

// hasRoom reports whether a large chunk can be passed on without waiting. It sets isRead.
func (p *pace) hasRoom() bool {
	if p.buffer == nil {
		return false
	}
	b := p.buffer()
	p.isRead = p.passed-int64(b.held) > takenUnread
	return p.isRead || b.size-b.held >= 2*chunkSize // what is held takes up to twice as much memory
}

// take has c, of which n bytes were read, passed on.
func (p *pace) take(take taker, c *chunk, n int) (more bool) {
	if n >= smallChunk {
		p.stream = shortReads
	} else if p.stream > 0 {
		p.stream--
	}
	p.passed += int64(n)
	if c.size() == smallChunk {
		return take(c, c.b[headroom:headroom+n])
	}
	began := time.Now()
	more = take(c, c.b[headroom:headroom+n])
	if time.Since(began) > longPass {
		p.passed, p.isRead = 0, false
	}
	return more
}
