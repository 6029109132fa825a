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

// Status is the state and health of the service, as `tlstunnel status` shows it.
type Status struct {
	Health
	Source     string         `json:"source"` // SourceService, SourceSystem
	State      string         `json:"state"`
	Version    string         `json:"version,omitempty"`
	PID        int            `json:"pid,omitempty"`
	Config     string         `json:"config"`
	Log        string         `json:"log,omitempty"`       // the file; "-" is stderr
	LogError   string         `json:"log_error,omitempty"` // why the last line couldn't be written to the file
	Started    time.Time      `json:"started,omitzero"`
	Memory     uint64         `json:"memory,omitempty"` // bytes that the service holds
	LastReload *ReloadResult  `json:"last_reload,omitempty"`
	Renewal    *RenewalStatus `json:"renewal,omitempty"`   // of our own server certificate, if a tunnel needs our own PKI
	CA         *CAStatus      `json:"ca,omitempty"`        // our own CA, if a tunnel needs our own PKI
	CRLError   string         `json:"crl_error,omitempty"` // why the CRL of our own CA isn't up to date
	Tunnels    []TunnelStatus `json:"tunnels"`
}

// The states of a service that answers. The others are the service manager's, or
// [StateUnknown].
const (
	StateRunning  = "running"
	StateStopping = "stopping"
)

// TunnelStatus is the status of a tunnel.
type TunnelStatus struct {
	Name    string    `json:"name"`
	Mode    string    `json:"mode"`
	Listen  string    `json:"listen"` // the bound address
	LeftOut *LeftOut  `json:"left_out,omitempty"`
	Target  []string  `json:"target"`
	Begins  time.Time `json:"begins,omitzero"`  // of its certificates
	Expires time.Time `json:"expires,omitzero"` // of its certificates

	// The orders of a certificate from a public CA, nil if the tunnel uses none.
	ACME *acme.Status `json:"acme,omitempty"`

	// What the last connections found.
	Targets  []tunnel.TargetState `json:"targets,omitempty"`
	Failures tunnel.Failures      `json:"failures,omitzero"`
	tunnel.Stats
}

// CAStatus is the status of our own CA.
type CAStatus struct {
	Expires time.Time `json:"expires"`
	Next    string    `json:"next,omitempty"` // the SHA-256 of the next CA during a rotation
}

// snapshot has the changing part of a service's status. Nobody changes a snapshot that other
// goroutines can see: update replaces it.
type snapshot struct {
	cfg        *config.Config
	tunnels    []running // in the order of the config
	lastReload ReloadResult
	renewal    RenewalStatus
	ca         *CAStatus
	crlError   string // why the CRL of our own CA isn't up to date
}

// update replaces the snapshot by a changed copy.
func (s *Service) update(change func(now *snapshot)) {
	s.updating.Lock()
	defer s.updating.Unlock()
	next := *s.current.Load()
	change(&next)
	s.current.Store(&next)
}

// Status returns the status from the snapshot. It waits for no lock, and reads no file.
func (s *Service) Status() Status {
	now := s.current.Load()
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

// fillFromConfig fills the status from cfg and its files, without what only a running service
// knows.
func (st *Status) fillFromConfig(cfg *config.Config, now time.Time) {
	store, _ := pki.Open(cfg.PKI.Dir, now) // Fallback.Check reports an error
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

// firstExpiry returns when the first certificate ends, zero if there is none.
func (st Status) firstExpiry() (first time.Time) {
	for _, t := range st.Tunnels {
		if !t.Expires.IsZero() && (first.IsZero() || t.Expires.Before(first)) {
			first = t.Expires
		}
	}
	return first
}

// noteCA puts our own CA into the snapshot: Status doesn't read the disk, which may hang. The
// caller holds changing.
func (s *Service) noteCA(store *pki.Store) {
	st := caStatus(s.cfg, store)
	s.update(func(now *snapshot) { now.ca = st })
}

// caStatus returns nil if there is no CA, or if no tunnel needs it.
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
