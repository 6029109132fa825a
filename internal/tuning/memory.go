package tuning

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// MemoryInterval is the time between two calls of [Memory.Look].
const MemoryInterval = 2 * time.Second

// Memory gives memory back to the system after a burst of connections. Without it, the Go
// runtime keeps most of that memory. Only one goroutine may use a Memory.
type Memory struct {
	allocated   uint64 // bytes allocated since the start, at the last call of Look
	returned    uint64 // the same at the last return of memory
	looksToNext int    // calls of Look until the second return, 0 if none is to come
}

// looksToReturn is how many calls of Look are between the two returns after a burst. Up to
// four seconds after its last bytes, a connection changes to new goroutines with small stacks
// (see tunnel.idleAfter). The runtime frees the old stacks only at the next collection.
const looksToReturn = 2

// NewMemory begins to watch for bursts.
func NewMemory() Memory {
	now := readMemory()
	return Memory{allocated: now.allocated, returned: now.allocated}
}

// Look returns memory to the system if a burst is over. Call it every [MemoryInterval].
func (m *Memory) Look() {
	now := readMemory()
	over := m.isBurstOver(now)
	if over || m.looksToNext == 1 {
		// A sync.Pool is empty after two collections: this one and that of FreeOSMemory.
		runtime.GC()
		debug.FreeOSMemory()
		m.returned = now.allocated
	}
	if over {
		m.looksToNext = looksToReturn
	} else if m.looksToNext > 0 {
		m.looksToNext--
	}
	m.allocated = now.allocated
}

func (m *Memory) isBurstOver(now memoryUse) bool {
	const calm, burst = 1 << 20, 4 << 20 // bytes
	much := burst + now.held/8
	return now.allocated-m.allocated < calm && (now.allocated-m.returned > much || now.free > much)
}

// memoryUse is what runtime/metrics reports, in bytes.
type memoryUse struct {
	held      uint64 // what the runtime holds of the system's memory, without the program's code
	free      uint64 // the unused part of held
	allocated uint64 // all allocations since the start, freed or not
}

func readMemory() memoryUse {
	m := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(m)
	return memoryUse{m[0].Value.Uint64() - m[1].Value.Uint64(), m[2].Value.Uint64(), m[3].Value.Uint64()}
}

// MemoryHeld returns how many bytes of the system's memory this process holds. It doesn't
// count the program's code, which the system can load again from disk.
func MemoryHeld() uint64 { return readMemory().held }
