package compile

import (
	"errors"
	"io/fs"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/pki"
)

// Check finds what is wrong with the certificates, keys and PKI that cfg names, at the time
// now. It writes nothing and opens no socket. A PKI that never existed is no problem: the
// first run makes it.
func Check(cfg *config.Config, now time.Time) config.Problems {
	store, err := pki.Open(cfg.PKI.Dir, now)
	if errors.Is(err, fs.ErrNotExist) {
		err = pki.Lost(cfg.PKI.Dir, Marks(cfg))
	}
	problems := PKIProblems(cfg, store, err, now)
	if text := pki.TooLongForApple(cfg.PKI.CertValidity); text != "" {
		p := cfg.Problem(-1, "pki.cert_validity", "pki.cert_validity makes "+text)
		p.Warning = true
		problems = append(problems, p)
	}
	_, more := Tunnels(cfg, store, now)
	problems = append(problems, more...)
	problems.Sort()
	return problems
}
