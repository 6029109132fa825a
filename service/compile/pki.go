package compile

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/date"
	"tlstunnel/internal/dn"
	"tlstunnel/pki"
)

// PKI returns the settings of cfg for our own CA and server certificate.
func PKI(cfg *config.Config) pki.Settings {
	return pki.Settings{
		Dir:          cfg.PKI.Dir,
		KeyType:      cfg.PKI.KeyType,
		CAValidity:   cfg.PKI.CAValidity,
		CertValidity: cfg.PKI.CertValidity,
		Names:        cfg.PKI.Names,
		Subject:      dn.Subject(cfg.PKI.Subject),
	}
}

// Marks returns the paths of the marks of the PKI, see [pki.Mark]. The PKI's folder may be on
// a disk of its own, which can be lost. So the marks are in the folder above it and in the
// folder of the log.
func Marks(cfg *config.Config) []string {
	sum := sha256.Sum256([]byte(cfg.PKI.Dir))
	name := fmt.Sprintf(".pki-made-%x", sum[:4])
	marks := []string{filepath.Join(filepath.Dir(cfg.PKI.Dir), name)}
	if cfg.Log.File != config.Console {
		marks = append(marks, filepath.Join(filepath.Dir(cfg.Log.File), name))
	}
	return marks
}

// PKIProblems returns the problems of our own PKI: err says why it can't be opened, and the
// store has its own warnings. Both may be nil.
func PKIProblems(cfg *config.Config, store *pki.Store, err error, now time.Time) (problems config.Problems) {
	if err != nil {
		problems = append(problems, unusable(cfg, err))
	}
	if store != nil {
		problems = append(problems, storeWarnings(cfg, store, now)...)
	}
	return problems
}

// unusable reports a PKI that can't be used. It is only a warning if no tunnel needs the PKI.
func unusable(cfg *config.Config, err error) config.Problem {
	why := err.Error()
	if errors.Is(err, fs.ErrPermission) && cfg.File == config.SystemConfig() {
		why += "; run `tlstunnel check` as root or administrator: it says how to let the service read it"
	}
	p := cfg.Problem(-1, "pki.dir", why)
	p.Warning = !NeedsPKI(cfg)
	return p
}

// storeWarnings returns the warnings about a PKI that can be used. It warns if other users may
// read the PKI, if its CA ends soon, and if the config has names or a key type that the
// certificates were made without.
func storeWarnings(cfg *config.Config, store *pki.Store, now time.Time) (warnings config.Problems) {
	warn := func(key, text string) {
		p := cfg.Problem(-1, key, text)
		p.Warning = true
		warnings = append(warnings, p)
	}
	for _, text := range store.Warnings {
		warn("pki.dir", text)
	}
	if text := CAExpiryWarning(store, now); text != "" && NeedsPKI(cfg) {
		warn("pki.dir", text)
	}
	if has := pki.KeyType(store.CA); has != cfg.PKI.KeyType && NeedsPKI(cfg) {
		warn("pki.key_type", fmt.Sprintf(
			"pki.key_type is %q, but the CA that exists has a key of the type %s, and key_type has no effect on it: `tlstunnel ca rotate` makes the next CA with it, and `tlstunnel cert renew --new-key` the key of the server certificate", cfg.PKI.KeyType, has))
	}
	for i, name := range cfg.PKI.Names {
		// The name may be a wildcard, so we compare text and don't verify the name.
		ip := net.ParseIP(name)
		if slices.Contains(store.Server.Leaf.DNSNames, strings.ToLower(name)) ||
			slices.ContainsFunc(store.Server.Leaf.IPAddresses, ip.Equal) {
			continue
		}
		warn(fmt.Sprintf("pki.names[%d]", i), fmt.Sprintf(
			"pki.names has %q, but the server certificate doesn't: a running service renews it by itself, and `tlstunnel cert renew` does so at once", name))
	}
	return warnings
}

// NeedsPKI reports whether a tunnel needs our own PKI.
func NeedsPKI(cfg *config.Config) bool {
	return slices.ContainsFunc(cfg.Tunnels, UsesPKI)
}

// UsesPKI reports whether this tunnel needs our own PKI.
func UsesPKI(t config.Tunnel) bool {
	return t.Mode == config.ModeServer && t.Cert == "" && !t.ACME.Enabled() || t.Cert == config.Own || TrustsOwn(t)
}

// TrustsOwn reports whether the tunnel trusts our own CA.
func TrustsOwn(t config.Tunnel) bool {
	return slices.Contains(t.ClientCA, config.Own) || slices.Contains(t.CA, config.Own)
}

// CAExpiryWarning warns of the end of our own CA. It returns "" if the CA is valid for at
// least another year, or for at least a quarter of its whole time.
func CAExpiryWarning(store *pki.Store, now time.Time) string {
	left := store.CA.NotAfter.Sub(now)
	if left >= 365*24*time.Hour || left >= store.CA.NotAfter.Sub(store.CA.NotBefore)/4 {
		return ""
	}
	text := fmt.Sprintf("our own CA %q expires on %s, in %d days, and all its certificates end with it: ",
		dn.Text(store.CA.Subject), date.Day(store.CA.NotAfter), left/(24*time.Hour))
	if store.Next != nil {
		return text + "end the rotation that is under way with `tlstunnel ca rotate --finish`"
	}
	return text + "`tlstunnel ca rotate` makes the next one, and says what to do"
}
