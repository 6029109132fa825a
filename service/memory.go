package service

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// memoryInterval is how often memory looks whether there is a burst.
const memoryInterval = 2 * time.Second

// gcPercent is how much garbage there may be for what is in use (debug.SetGCPercent).
// Connections that come and go leave much and use little.
const gcPercent = 200

// memory returns to the system what a burst of connections has left, once it is
// over. By itself, the runtime keeps most of it in reserve, whoever needs it.
type memory struct {
	allocated uint64 // bytes since the start, when it was looked at last
	returned  uint64 // the same, when the system got memory back last
}

func newMemory() memory {
	now := readMemory()
	return memory{now.allocated, now.allocated}
}

// collectLess makes gcPercent the setting of the process, if nobody has chosen one.
func collectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// look is called every memoryInterval.
func (m *memory) look() {
	now := readMemory()
	if m.isBurstOver(now) {
		// A pool of buffers is empty after two collections, of which this is one.
		runtime.GC()
		debug.FreeOSMemory()
		m.returned = now.allocated
	}
	m.allocated = now.allocated
}

func (m *memory) isBurstOver(now memoryUse) bool {
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

func memoryHeld() uint64 { return readMemory().held }
