package tunnel

import (
	"container/heap"
	"container/list"
	"net/netip"
	"strconv"

	"tlstunnel/internal/diagnose"
)

// maxHandshakes is how many peers of one tunnel may be between accept and the end of their
// handshake. They have proved nothing yet, so max_connections doesn't count them. Each takes
// about 20 KiB, or 130 KiB if it sends as much as it may: together 40 to 260 MiB.
const maxHandshakes = 2048

// pending has the connections of a tunnel that are in their handshake, by origin. The caller
// locks it.
type pending struct {
	groups    map[netip.Prefix]*group
	order     groupHeap
	size      int
	returning *recent
}

// group is never empty.
type group struct {
	origin   netip.Prefix
	reserved int       // how many of them don't count: see reserve
	conns    list.List // of *conn, the oldest first
	index    int       // in the heap
}

func (g *group) size() int { return g.conns.Len() - g.reserved }

func (g *group) oldest() *conn { return g.conns.Front().Value.(*conn) }

var crowded = &stopCause{diagnose.New("tlstunnel.made_room", "count", strconv.Itoa(maxHandshakes))}

// add adds c. If there is no room, the origin with the most connections gives up its oldest one.
// If that is the origin of c, c isn't added.
func (p *pending) add(c *conn) (ok bool) {
	g := p.groups[c.origin]
	if p.size >= maxHandshakes {
		largest := p.order[0]
		if g != nil && g.size() >= largest.size() {
			return false
		}
		oldest := largest.oldest()
		oldest.giveUp(crowded)
		p.remove(oldest)
	}
	p.size++
	if g == nil {
		if g = (&group{origin: c.origin}); p.returning.has(c.origin) {
			g.reserved = reserve
		}
		c.pending = g.conns.PushBack(c)
		p.groups[c.origin] = g
		heap.Push(&p.order, g)
		return true
	}
	c.pending = g.conns.PushBack(c)
	heap.Fix(&p.order, g.index)
	return true
}

// remove undoes add. It may be called again, and for a c that wasn't added.
func (p *pending) remove(c *conn) {
	if c.pending == nil {
		return
	}
	g := p.groups[c.origin]
	if g.conns.Len() == 1 {
		delete(p.groups, c.origin)
		heap.Remove(&p.order, g.index)
	} else {
		g.conns.Remove(c.pending)
		heap.Fix(&p.order, g.index)
	}
	c.pending = nil
	p.size--
}

// groupHeap is a heap with the largest group first. Of equal groups the one with the oldest
// connection is first.
type groupHeap []*group

func (h groupHeap) Len() int { return len(h) }
func (h groupHeap) Less(i, j int) bool {
	if n, m := h[i].size(), h[j].size(); n != m {
		return n > m
	}
	return h[i].oldest().accepted.Before(h[j].oldest().accepted)
}
func (h groupHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *groupHeap) Push(g any) {
	g.(*group).index = len(*h)
	*h = append(*h, g.(*group))
}
func (h *groupHeap) Pop() any {
	last := len(*h) - 1
	g := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return g
}
