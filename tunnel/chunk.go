package tunnel

import "sync"

// chunkSize is what one read takes at the most. Eight TLS records cost little
// more system calls than one; larger chunks fall out of the processor's cache.
const chunkSize = 128 << 10

// chunk holds bytes on their way. Nobody has one while nothing moves: an idle
// connection is to cost little.
type chunk [chunkSize + 8*recordOverhead]byte

// recordOverhead is what TLS adds to a record of 16 KiB at the most: its header,
// and with CBC an IV, a MAC of SHA-384 and padding.
const recordOverhead = 5 + 16 + 48 + 16

var chunks = sync.Pool{New: func() any { return new(chunk) }}
