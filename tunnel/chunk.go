package tunnel

import "sync"

// chunkSize is what one read takes at the most: twelve TLS records. With fewer,
// system calls cost more; with more, it is only memory that does.
const chunkSize = 192 << 10

// chunk holds bytes on their way. Nobody has one while nothing moves: an idle
// connection is to cost little. Reads leave its first headroom bytes free.
type chunk [headroom + chunkSize]byte

// headroom is what a record of TLS needs at the most (RFC 5246, section 6.2.3;
// later ones need less). What came of one goes there, before the rest of it; and
// there is room for what encryption adds to chunkSize bytes.
const headroom = 5 + maxRecord + 2048

// maxRecord is what a record of TLS carries at the most (RFC 8446, section 5.1).
const maxRecord = 16 << 10

var chunks = sync.Pool{New: func() any { return new(chunk) }}
