package service

import (
	"os"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/dn"
	"tlstunnel/internal/tuning"
	"tlstunnel/internal/version"
	"tlstunnel/pki"
	"tlstunnel/pki/acme"
	"tlstunnel/service/compile"
	"tlstunnel/tunnel"
)

// Status is how the service does, as `tlstunnel status` shows it.
type Status struct {
	Health
	Source     string         `json:"source"` // SourceService, SourceSystem
	State      string         `json:"state"`
	Version    string         `json:"version,omitempty"`
	PID        int            `json:"pid,omitempty"`
	Config     string         `json:"config"`
	Log        string         `json:"log,omitempty"`       // where it is; "-" is stderr
	LogError   string         `json:"log_error,omitempty"` // why the last line isn't in its file
	Started    time.Time      `json:"started,omitzero"`
	Memory     uint64         `json:"memory,omitempty"` // that the service holds, in bytes
	LastReload *ReloadResult  `json:"last_reload,omitempty"`
	Renewal    *RenewalStatus `json:"renewal,omitempty"`   // of our own server certificate, when a tunnel needs it
	CA         *CAStatus      `json:"ca,omitempty"`        // likewise
	CRLError   string         `json:"crl_error,omitempty"` // why the CRL of our own CA isn't up to date
	Tunnels    []TunnelStatus `json:"tunnels"`
}

// The states of a service that answers. The others are the service manager's, or
// [StateUnknown].
const (
	StateRunning  = "running"
	StateStopping = "stopping"
)

// TunnelStatus is how a tunnel does.
type TunnelStatus struct {
	Name    string    `json:"name"`
	Mode    string    `json:"mode"`
	Listen  string    `json:"listen"` // the address that is bound
	LeftOut *LeftOut  `json:"left_out,omitempty"`
	Target  []string  `json:"target"`
	Begins  time.Time `json:"begins,omitzero"`  // the certificate that it shows
	Expires time.Time `json:"expires,omitzero"` // likewise

	// How it got on with its CA, when that is a public one.
	ACME *acme.Status `json:"acme,omitempty"`

	// How it gets on with its targets and peers.
	Targets  []tunnel.TargetState `json:"targets,omitempty"`
	Failures tunnel.Failures      `json:"failures,omitzero"`
	tunnel.Stats
}

// CAStatus is how our own CA does.
type CAStatus struct {
	Expires time.Time `json:"expires"`
	Next    string    `json:"next,omitempty"` // the SHA-256 of the CA to come, while a rotation is under way
}

// view is what of a service changes, as status shows it. Nobody changes a view that
// others can see: it is replaced as a whole.
type view struct {
	cfg        *config.Config
	tunnels    []running // in the order of the config
	lastReload ReloadResult
	renewal    RenewalStatus
	ca         *CAStatus
	crlError   string // why the CRL of our own CA isn't up to date
}

// update replaces the view by a copy that change has changed.
func (s *Service) update(change func(now *view)) {
	s.updating.Lock()
	defer s.updating.Unlock()
	next := *s.shown.Load()
	change(&next)
	s.shown.Store(&next)
}

// Status may be called at any time. It waits for nobody, and reads no file.
func (s *Service) Status() Status {
	now := s.shown.Load()
	st := Status{
		Health: newHealth(), Source: SourceService, State: StateRunning, Version: version.Version, PID: os.Getpid(),
		Config: now.cfg.File, Log: s.logged.File, Started: s.started, Memory: tuning.MemoryHeld(), Tunnels: []TunnelStatus{},
	}
	if s.logControl != nil && s.logged.File != config.Console {
		st.LogError = s.logControl.Failure()
	}
	if s.stopping.Load() {
		st.State = StateStopping
		st.problem(Down, "the service is stopping")
	}
	if last := now.lastReload; !last.Time.IsZero() {
		st.LastReload = &last
	}
	if compile.NeedsPKI(now.cfg) {
		st.Renewal, st.CA, st.CRLError = &now.renewal, now.ca, now.crlError
	}
	for _, r := range now.tunnels {
		st.Tunnels = append(st.Tunnels, r.status())
	}
	st.judge(time.Now())
	return st
}

func (r *running) status() TunnelStatus {
	t := TunnelStatus{Name: r.Config.Name, Mode: r.Config.Mode, Listen: r.Config.Listen, Target: r.Config.Target}
	if r.out != nil {
		t.LeftOut = &r.out.LeftOut
		return t
	}
	t.Listen, t.Stats = listenText(r.Config.Listen, r.listener.Addr()), r.tunnel.Stats()
	t.Begins, t.Expires, t.ACME = r.Begins(), r.Expires(), r.ACME.Status()
	t.Targets, t.Failures = r.tunnel.Targets(), r.tunnel.Failures()
	return t
}

// offline makes it the status that cfg would have if it ran, without what only a
// running service knows.
func (st *Status) offline(cfg *config.Config, now time.Time) {
	store, _ := pki.Open(cfg.PKI.Dir, now) // a check of the config says what is wrong with it
	st.Log, st.CA = cfg.Log.File, caStatus(cfg, store)
	all, _ := compile.Tunnels(cfg, store, now)
	for _, p := range all {
		st.Tunnels = append(st.Tunnels, TunnelStatus{
			Name: p.Config.Name, Mode: p.Config.Mode, Listen: p.Config.Listen, Target: p.Config.Target,
			Begins: p.Begins(), Expires: p.Expires(),
		})
	}
	st.judge(now)
}

// firstExpiry is when the first certificate ends, zero if there is none.
func (st Status) firstExpiry() (first time.Time) {
	for _, t := range st.Tunnels {
		if !t.Expires.IsZero() && (first.IsZero() || t.Expires.Before(first)) {
			first = t.Expires
		}
	}
	return first
}

// noteCA keeps what status shows of our own CA: the disk that has it may not answer when
// somebody asks. The caller holds changing.
func (s *Service) noteCA(store *pki.Store) {
	st := caStatus(s.cfg, store)
	s.update(func(now *view) { now.ca = st })
}

// caStatus is nil when there is no CA, or no tunnel that needs it.
func caStatus(cfg *config.Config, store *pki.Store) *CAStatus {
	if store == nil || !compile.NeedsPKI(cfg) {
		return nil
	}
	st := &CAStatus{Expires: store.CA.NotAfter}
	if store.Next != nil {
		st.Next = dn.Fingerprint(store.Next)
	}
	return st
}
