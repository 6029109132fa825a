package tuning

import (
	"runtime"
	"testing"
)

// TestMemoryGoesBack: after a burst, its memory goes back to the system, and not before.
func TestMemoryGoesBack(t *testing.T) {
	const burst = 64 << 20
	m := NewMemory()
	before := MemoryHeld()
	blocks := make([][]byte, burst>>10)
	for i := range blocks {
		blocks[i] = make([]byte, 1<<10)
	}
	m.Look()
	if during := MemoryHeld(); during < before+burst/2 {
		t.Errorf("held %d bytes before a burst of %d, and %d at its end", before, burst, during)
	}
	runtime.KeepAlive(blocks)
	m.Look()
	if after := MemoryHeld(); after > before+burst/4 {
		t.Errorf("held %d bytes before a burst of %d, and %d after it", before, burst, after)
	}
}

func TestIsBurstOver(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct {
		name   string
		memory Memory // allocated, returned
		now    memoryUse
		want   bool
	}{
		{"nothing happened", Memory{allocated: 100 * mib, returned: 100 * mib}, memoryUse{10 * mib, 1 * mib, 100 * mib}, false},
		{"a burst goes on", Memory{allocated: 150 * mib, returned: 100 * mib}, memoryUse{40 * mib, 20 * mib, 160 * mib}, false},
		{"a burst is over", Memory{allocated: 160 * mib, returned: 100 * mib}, memoryUse{40 * mib, 0, 160 * mib}, true},
		{"a little while others wait", Memory{allocated: 110 * mib, returned: 100 * mib}, memoryUse{400 * mib, 0, 110 * mib}, false},
		{"a trickle", Memory{allocated: 103 * mib, returned: 100 * mib}, memoryUse{10 * mib, 0, 103*mib + 1}, false},
		{"the sum of a trickle", Memory{allocated: 106 * mib, returned: 100 * mib}, memoryUse{10 * mib, 0, 106*mib + 1}, true},
		{"connections have become idle since", Memory{allocated: 160 * mib, returned: 160 * mib}, memoryUse{80 * mib, 16 * mib, 160 * mib}, true},
	} {
		if got := test.memory.isBurstOver(test.now); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}
