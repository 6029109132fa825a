package service

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// memoryInterval is how often memory looks whether there is a burst.
const memoryInterval = 2 * time.Second

// memory returns to the system what a burst of connections has left, once it is
// over. By itself, the runtime keeps as much in reserve as is in use, for as long
// as nobody needs it.
type memory struct {
	allocated uint64 // bytes since the start, when it was looked at last
	returned  uint64 // the same, when the system got memory back last
}

func newMemory() memory {
	_, allocated := readMemory()
	return memory{allocated, allocated}
}

// look is called every memoryInterval.
func (m *memory) look() {
	held, allocated := readMemory()
	if m.isBurstOver(held, allocated) {
		// Each collection halves the stacks that handshakes have left, and it takes
		// two to empty a pool of buffers.
		runtime.GC()
		runtime.GC()
		debug.FreeOSMemory()
		m.returned = allocated
	}
	m.allocated = allocated
}

func (m *memory) isBurstOver(held, allocated uint64) bool {
	const calm, burst = 1 << 20, 4 << 20 // bytes
	return allocated-m.allocated < calm && allocated-m.returned > burst+held/8
}

// readMemory says what the process holds of the system's memory, and what it has
// allocated since its start, freed or not, both in bytes. Of the program itself,
// which the system can load again, nothing counts as held.
func readMemory() (held, allocated uint64) {
	m := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(m)
	return m[0].Value.Uint64() - m[1].Value.Uint64(), m[2].Value.Uint64()
}

func memoryHeld() uint64 {
	held, _ := readMemory()
	return held
}
