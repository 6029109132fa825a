package tuning

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// MemoryInterval is the time between two calls of [Memory.Look].
const MemoryInterval = 2 * time.Second

// Memory returns to the system what a burst of connections has left, once it is
// over. By itself, the runtime keeps most of it in reserve, whoever needs it. It is for
// one goroutine.
type Memory struct {
	allocated uint64 // bytes since the start, when it was looked at last
	returned  uint64 // the same, when the system got memory back last
	again     int    // after how many looks there is to be another return, 0: no more
}

// looksToReturn are the looks between the two returns after a burst. A connection
// goes on with new goroutines, of small stacks, up to four seconds after its last
// bytes (see tunnel.idleAfter), and the runtime keeps the old stacks until a collection.
const looksToReturn = 2

// NewMemory begins to watch for bursts.
func NewMemory() Memory {
	now := readMemory()
	return Memory{allocated: now.allocated, returned: now.allocated}
}

// Look is to be called every [MemoryInterval].
func (m *Memory) Look() {
	now := readMemory()
	over := m.isBurstOver(now)
	if over || m.again == 1 {
		// A pool of buffers is empty after two collections, of which this is one.
		runtime.GC()
		debug.FreeOSMemory()
		m.returned = now.allocated
	}
	if over {
		m.again = looksToReturn
	} else if m.again > 0 {
		m.again--
	}
	m.allocated = now.allocated
}

func (m *Memory) isBurstOver(now memoryUse) bool {
	const calm, burst = 1 << 20, 4 << 20 // bytes
	much := burst + now.held/8
	return now.allocated-m.allocated < calm && (now.allocated-m.returned > much || now.free > much)
}

// memoryUse is what the runtime says, in bytes.
type memoryUse struct {
	held      uint64 // of the system's memory; of the program itself, which it can load again, nothing
	free      uint64 // of that, what isn't used
	allocated uint64 // since the start, freed or not
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

// MemoryHeld is how much of the system's memory this process holds, in bytes. It doesn't
// count the program itself, which the system can load again.
func MemoryHeld() uint64 { return readMemory().held }
