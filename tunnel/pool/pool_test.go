package pool

import (
	"slices"
	"testing"
	"time"
)

func wantOrder(t *testing.T, p *Pool, want ...string) {
	t.Helper()
	names := slices.Sorted(slices.Values(want))
	if got := Order(p, names, func(name string) string { return name }); !slices.Equal(got, want) {
		t.Errorf("got order %v, want %v", got, want)
	}
}

func newPool(names ...string) (*Pool, *time.Time) {
	now := time.Date(2026, 5, 9, 3, 0, 0, 0, time.UTC)
	p := New(func() time.Time { return now })
	p.Set(names)
	return p, &now
}

func TestOrder(t *testing.T) {
	p, now := newPool("a", "b", "c")
	wantOrder(t, p, "a", "b", "c")
	p.Failed("a", "target.no_answer", "silent")
	wantOrder(t, p, "b", "c", "a")
	*now = now.Add(time.Hour)
	p.Failed("b", "target.no_answer", "silent")
	wantOrder(t, p, "c", "b", "a")
	p.Failed("c", "target.no_answer", "silent")
	p.Failed("a", "target.no_answer", "silent") // it has still been down for an hour
	wantOrder(t, p, "b", "c", "a")
	p.Works("a")
	wantOrder(t, p, "a", "b", "c")
}

func TestBackOff(t *testing.T) {
	p, now := newPool("a")
	if p.Try("a") {
		t.Error("a place that works is tried")
	}
	p.Failed("a", "target.no_answer", "silent")
	for _, wait := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		*now = now.Add(wait*time.Second - 1)
		if p.Try("a") {
			t.Fatalf("it is tried before %d s are over", wait)
		}
		*now = now.Add(1)
		if !p.Try("a") {
			t.Fatalf("it isn't tried after %d s", wait)
		}
		if p.Try("a") {
			t.Fatal("two try it at once")
		}
		for range 100 { // failures at the same time count once
			p.Failed("a", "target.no_answer", "silent")
		}
		p.Tried("a")
	}
	p.TryAll()
	if !p.Try("a") {
		t.Error("TryAll doesn't let it be tried")
	}
	p.Tried("a")
	p.Works("a")
	p.Failed("a", "target.no_answer", "silent")
	if *now = now.Add(retry.First); !p.Try("a") {
		t.Error("the back-off outlives that the place worked")
	}
}

func TestSetKeepsWhatIsKnown(t *testing.T) {
	p, now := newPool("a", "b")
	p.Failed("a", "target.no_answer", "silent")
	down := *now
	*now = now.Add(time.Hour)
	p.Set([]string{"c", "a"})
	wantOrder(t, p, "b", "c", "a") // it knows nothing of b
	want := []State{{Name: "c"}, {"a", down, down, "target.no_answer", "silent"}}
	if got := p.States(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	p.Failed("b", "", "it is gone")
	p.Works("b")
	p.Tried("b")
	if p.Try("b") || len(p.States()) != 2 {
		t.Error("a place that is gone comes back")
	}
}
