package tunnel

import (
	"time"

	"tlstunnel/tunnel/pool"
)

// A TargetState says whether connections can reach a target.
type TargetState struct {
	Address   string    `json:"address"`
	DownSince time.Time `json:"down_since,omitzero"`  // zero: it works, or was never tried
	LastTried time.Time `json:"last_tried,omitzero"`  // the last failure to reach it
	LastError string    `json:"last_error,omitempty"` // the reason of that failure
	Code      string    `json:"code,omitempty"`       // the code of that failure, for programs

	// Addresses are those of its host name that are down while another one works.
	Addresses []TargetState `json:"addresses,omitempty"`
}

// Targets returns the states of the targets, in the order of the settings. It may be called at
// any time. Only connections find out the state of a target, so without connections the state
// may be old. So Targets tries targets that are down in the background, within their back-off:
// the next call has the result.
func (t *Tunnel) Targets() []TargetState {
	s := t.settings.Load()
	var all []TargetState
	for _, at := range t.targets.States() {
		state := TargetState{Address: at.Name, DownSince: at.Since, LastError: at.Reason, Code: at.Code, LastTried: at.Failed}
		if known := s.addresses[at.Name]; known != nil && at.Since.IsZero() {
			for _, at := range known.States() {
				if !at.Since.IsZero() {
					state.Addresses = append(state.Addresses, TargetState{Address: at.Name, DownSince: at.Since, LastError: at.Reason, Code: at.Code, LastTried: at.Failed})
				}
			}
		}
		all = append(all, state)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.stopped {
		t.tryDown(s)
	}
	return all
}

// keepTargets replaces the known targets by those of next. The state of a target that stays
// isn't lost. A target that is down may be tried again at once: the new settings may have
// repaired it, for example with another certificate.
func (t *Tunnel) keepTargets(next *settings) {
	var last map[string]*pool.Pool
	if s := t.settings.Load(); s != nil {
		last = s.addresses
	}
	next.addresses = make(map[string]*pool.Pool)
	var names []string
	for _, target := range next.Targets {
		known := last[target.Address]
		if known == nil {
			known = pool.New(time.Now)
		}
		known.TryAll()
		next.addresses[target.Address] = known
		names = append(names, target.Address)
	}
	t.targets.Set(names)
	t.targets.TryAll()
}

// tryDown tries targets that are down, and addresses of targets that aren't, in the background
// and within their back-off. A new connection and a question for the state call it. They don't
// wait for the result.
func (t *Tunnel) tryDown(s *settings) {
	for _, target := range s.Targets {
		if t.targets.Try(target.Address) {
			t.running.Add(1)
			go t.tryPlace(s, target, "", t.targets, target.Address)
			continue
		}
		known := s.addresses[target.Address]
		for _, at := range known.States() {
			if known.Try(at.Name) {
				t.running.Add(1)
				go t.tryPlace(s, target, at.Name, known, at.Name)
			}
		}
	}
}

// tryPlace connects to a target, or to one of its addresses, as a connection does before its
// first byte.
func (t *Tunnel) tryPlace(s *settings, target Target, only string, p *pool.Pool, name string) {
	defer t.running.Done()
	defer p.Tried(name)
	c := &conn{settings: s, setup: t.setup}
	if t.dialTarget(c, target, only) != nil {
		return
	}
	s.log.Info("target works again", "target", target.Address, "address", c.back.socket.RemoteAddr().String())
	_ = c.back.CloseWrite()
	c.back.socket.Close()
}
