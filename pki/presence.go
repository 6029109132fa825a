package pki

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"tlstunnel/internal/quote"
)

// presence says which files of a layout exist.
type presence struct {
	caKey, caCert         bool
	serverKey, serverCert bool
}

func (p presence) none() bool     { return p == presence{} }
func (p presence) complete() bool { return p.ca() && p.server() }
func (p presence) ca() bool       { return p.caKey && p.caCert }
func (p presence) server() bool   { return p.serverKey && p.serverCert }

func (l layout) present() (presence, error) {
	var p presence
	for path, exists := range map[string]*bool{
		l.caKey: &p.caKey, l.caCert: &p.caCert,
		l.serverKey: &p.serverKey, l.serverCert: &p.serverCert,
	} {
		// Not Stat: a dangling symlink is a file that someone put there.
		_, err := os.Lstat(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return presence{}, fmt.Errorf("looking for %q: %w", path, quote.FileError(err))
		}
		*exists = err == nil
	}
	return p, nil
}

// contradiction is an error when the files that exist can't be completed, and
// says what to do. A server pair that is missing whole is none.
func (l layout) contradiction(p presence) error {
	switch anyCA, anyServer := p.caKey || p.caCert, p.serverKey || p.serverCert; {
	case anyServer && !anyCA:
		return fmt.Errorf("%s but %q and %q are missing: restore them from a backup, or, to start over with a new CA that every client then needs, delete %s",
			exist(l.existing(p)), l.caCert, l.caKey, quote.List(l.existing(p)))
	case anyServer && !p.ca():
		there, missing := halves(p.caCert, l.caCert, l.caKey)
		return fmt.Errorf("%q exists but %q is missing: restore it from a backup, or, to start over with a new CA that every client then needs, delete %s",
			there, missing, quote.List(l.existing(p)))
	case anyCA && !p.ca():
		there, missing := halves(p.caCert, l.caCert, l.caKey)
		return fmt.Errorf("%q exists but %q is missing: restore it from a backup, or, if tlstunnel was killed during its first start, delete %q and start again",
			there, missing, there)
	case anyServer && !p.server():
		there, missing := halves(p.serverCert, l.serverCert, l.serverKey)
		return fmt.Errorf("%q exists but %q is missing: restore it from a backup, or, if tlstunnel was killed during its first start or there is no backup, delete %q and start again: a new pair is then made from the same CA",
			there, missing, there)
	}
	return nil
}

func (l layout) existing(p presence) []string {
	var paths []string
	for i, exists := range []bool{p.caKey, p.caCert, p.serverKey, p.serverCert} {
		if exists {
			paths = append(paths, l.all()[i])
		}
	}
	return paths
}

func halves(haveCert bool, cert, key string) (there, missing string) {
	if haveCert {
		return cert, key
	}
	return key, cert
}

func exist(paths []string) string {
	if len(paths) == 1 {
		return quote.List(paths) + " exists"
	}
	return quote.List(paths) + " exist"
}
