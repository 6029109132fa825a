package sock

import "sync"

// largeChunk is what one read takes at the most: twelve TLS records. With fewer,
// system calls cost more; with more, it is only memory that does.
const largeChunk = 192 << 10

// SmallChunk is what one read takes at first: the largest record that there may be,
// and some. All of a small chunk, with its spare room, is 40 KiB.
const SmallChunk = 40<<10 - Spare

// Spare is how many bytes a chunk has beyond those that one read takes: for what encryption
// adds to them, or for a TLS record whose beginning came with the read before. A record has
// that many at the most (RFC 5246, section 6.2.3; later ones have less).
const Spare = 5 + 16<<10 + 2048

// A Chunk is memory from a pool for bytes on their way. Nobody holds one while nothing
// moves: an idle connection must cost little.
type Chunk struct{ B []byte }

var (
	smallChunks = sync.Pool{New: func() any { return &Chunk{make([]byte, Spare+SmallChunk)} }}
	largeChunks = sync.Pool{New: func() any { return &Chunk{make([]byte, Spare+largeChunk)} }}
)

// Pools are those that GetChunk takes from, for tests that count chunks.
func Pools() []*sync.Pool { return []*sync.Pool{&smallChunks, &largeChunks} }

// GetChunk is a chunk for size bytes, at most 192 KiB, and its spare room. The caller
// must release it.
func GetChunk(size int) *Chunk {
	if size <= SmallChunk {
		return smallChunks.Get().(*Chunk)
	}
	return largeChunks.Get().(*Chunk)
}

// Release gives c back to its pool. Nobody may use its bytes after that.
func (c *Chunk) Release() {
	if c.Size() <= SmallChunk {
		smallChunks.Put(c)
	} else {
		largeChunks.Put(c)
	}
}

// Size is what a read into c takes at the most.
func (c *Chunk) Size() int { return len(c.B) - Spare }
