package tunnel

import (
	"time"

	"tlstunnel/tunnel/pool"
)

// A TargetState is whether connections can get to a target.
type TargetState struct {
	Address   string    `json:"address"`
	DownSince time.Time `json:"down_since,omitzero"`  // zero: it works, or was never tried
	LastTried time.Time `json:"last_tried,omitzero"`  // when it couldn't be reached the last time
	LastError string    `json:"last_error,omitempty"` // and why
	Code      string    `json:"code,omitempty"`       // likewise, for programs

	// Addresses are those of its host name that are down while another one works.
	Addresses []TargetState `json:"addresses,omitempty"`
}

// Targets are how the targets do, in the order of the settings. It may be called at
// any time. Nobody looks after a target but the connections that go there: without
// any, what it says may be old. So it has those that are down tried in the background,
// within their back-off, for the next call to know.
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

// keepTargets makes the targets of next those whose state is known. What is known of
// them outlives the settings. Those that are down may be tried again at once: what
// they failed for, a certificate say, may be mended.
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

// tryDown tries what is down, in the background and within its back-off: targets, and
// addresses of those that aren't. Connections and questions for the state start that and
// don't wait for it. Without them nothing is tried.
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

// tryPlace does with a target, or only one of its addresses, all that a connection
// would do before the first byte.
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
