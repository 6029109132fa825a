package config

import (
	"fmt"
	"strings"
)

// A hop leads from one tunnel to another, because a target of the first is where the second
// listens.
type hop struct{ from, target, to int }

// loopSearch follows the targets of tunnels to tunnels.
type loopSearch struct {
	hops  [][]hop // by the tunnel that they start from
	seen  []bool
	depth []int // if the search is in the tunnel: 1 + its index in the trail; otherwise 0
	trail []hop
	found [][]hop
	known []bool // tunnels that are in a loop that was found
}

// loops reports tunnels that lead to each other in a circle. There, each connection would open
// the next, until this machine can't have more. The check of a tunnel's target reports a tunnel
// that leads to itself.
func (r *report) loops(tunnels []Tunnel, at listeners) {
	s := loopSearch{
		hops:  make([][]hop, len(tunnels)),
		seen:  make([]bool, len(tunnels)),
		depth: make([]int, len(tunnels)),
		known: make([]bool, len(tunnels)),
	}
	for i := range tunnels {
		for j, text := range tunnels[i].Target {
			target, err := parseAddress(text, "")
			if err != nil || r.wrong[element(tunnelKey(i, "target"), j)] {
				continue
			}
			if to, ok := at.reached(target); ok && to != i {
				s.hops[i] = append(s.hops[i], hop{i, j, to})
			}
		}
	}
	for i := range tunnels {
		s.visit(i)
	}
	for _, loop := range s.found {
		first := loop[0]
		r.errorf(element(tunnelKey(first.from, "target"), first.target), "%q leads back to this tunnel, through %s: a connection would go round for ever",
			tunnels[first.from].Target[first.target], tunnelNames(tunnels, loop[1:]))
	}
}

// visit goes on to every tunnel that can be reached from tunnel i.
func (s *loopSearch) visit(i int) {
	if s.seen[i] {
		return
	}
	s.seen[i] = true
	s.depth[i] = len(s.trail) + 1
	for _, h := range s.hops[i] {
		s.trail = append(s.trail, h)
		if start := s.depth[h.to]; start > 0 {
			s.note(s.trail[start-1:])
		}
		s.visit(h.to)
		s.trail = s.trail[:len(s.trail)-1]
	}
	s.depth[i] = 0
}

// note adds a loop to found, unless a loop there has one of its tunnels: the user may break both
// by one change.
func (s *loopSearch) note(loop []hop) {
	for _, h := range loop {
		if s.known[h.from] {
			return
		}
	}
	for _, h := range loop {
		s.known[h.from] = true
	}
	s.found = append(s.found, append([]hop(nil), loop...))
}

// tunnelNames lists the tunnels that the hops start from: tunnels "a", "b" and "c".
func tunnelNames(tunnels []Tunnel, hops []hop) string {
	var names []string
	for _, h := range hops {
		names = append(names, fmt.Sprintf("%q", tunnels[h.from].Name))
	}
	last := len(names) - 1
	if last == 0 {
		return "tunnel " + names[0]
	}
	return "tunnels " + strings.Join(names[:last], ", ") + " and " + names[last]
}
