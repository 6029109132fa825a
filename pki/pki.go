// Package pki is our own CA: it makes the CA and the server certificate on the first run,
// issues, renews and revokes certificates, and replaces the CA by the next one. It also puts
// the certificate that another CA has sent into its place.
//
// It takes the time as a parameter and logs nothing. It overwrites an existing file only to
// renew it. It doesn't verify peers: crypto/tls does that with the certificates from here, and
// package tunnel with the CRLs.
//
//	store, created, err := pki.Ensure(ctx, settings, time.Now())
//	config := &tls.Config{Certificates: []tls.Certificate{store.Server}}
package pki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"tlstunnel/internal/chain"
	"tlstunnel/internal/dn"
	"tlstunnel/internal/filerights"
	"tlstunnel/internal/quote"
	"tlstunnel/pki/certfile"
)

// Settings say how the CA and the server certificate are made. They don't change existing
// files.
type Settings struct {
	// Dir is the folder of the PKI. It should be absolute: messages name it.
	Dir string

	// KeyType is the type of both keys, one of [KeyTypes].
	KeyType string

	// CAValidity and CertValidity are counted from the time of issue. The
	// server certificate never outlives its CA.
	CAValidity   time.Duration
	CertValidity time.Duration

	// Names are DNS names and IP addresses for the server certificate, beside
	// those that the machine has.
	Names []string

	Subject dn.Subject
}

// Store is a PKI that was read and checked. It isn't changed after that and
// may be read by several goroutines.
type Store struct {
	Dir      string
	CA       *x509.Certificate
	Next     *x509.Certificate // the CA to come, while a rotation is under way, or nil
	Previous *x509.Certificate // the one before CA, or nil
	Server   tls.Certificate   // with Leaf set; the chain is as in server.crt: the leaf and the CA, or the cross certificate

	// Trusted are the CAs that count as our own: CA, Next and Previous.
	Trusted []*x509.Certificate

	cross *x509.Certificate // the CA signed by Next

	// Warnings name other users who can access the folder and the keys, and a CA that isn't
	// valid yet. The PKI can be used nevertheless.
	Warnings []string
}

// IsEmpty reports whether dir holds no part of a PKI, or doesn't exist.
func IsEmpty(dir string) bool {
	have, err := layoutOf(dir).present()
	return err == nil && have.none()
}

// Ensure makes what is missing of the PKI in s.Dir, the folder included, and then opens it as
// [Open] does. It returns the paths of the files that it made: none after the first run.
//
// Ensure overwrites only a server certificate that has expired, or was made while the clock was
// ahead: it renews it, and if that fails, opens it as it is. It makes both files of a pair or
// none. If an Ensure or a [Renew] was killed, the next Ensure completes its work.
// Several processes may call it at once: one makes the files, the others wait until ctx is done,
// and use them.
func Ensure(ctx context.Context, s Settings, now time.Time) (store *Store, created []string, err error) {
	if err := s.validate(); err != nil {
		return nil, nil, err
	}
	err = filerights.AsOwner(s.Dir, func() error {
		store, created, err = s.ensure(ctx, now)
		return err
	})
	return store, created, err
}

func (s Settings) ensure(ctx context.Context, now time.Time) (store *Store, created []string, err error) {
	created, err = s.makeMissing(ctx, now)
	if err != nil {
		return nil, nil, err
	}
	renewed, failed := s.renewUnusable(ctx, now)
	if renewed != "" {
		created = append(created, renewed)
	}
	// Read the new files back, so that the first run takes the same way as all later ones.
	if store, err = Open(s.Dir, now); err == nil && failed != nil {
		store.Warnings = append(store.Warnings, failed.Error())
	}
	return store, created, err
}

// Open reads the PKI in dir and checks that it holds together, and that the CA hasn't
// expired at the time now. The other dates aren't looked at, as the peer decides about
// them, but that the CA isn't valid yet is among the warnings. It never writes. The
// error wraps [fs.ErrNotExist] only when the PKI, or its server pair, isn't there at
// all, so that [Ensure] makes it.
func Open(dir string, now time.Time) (store *Store, err error) {
	err = filerights.AsOwner(dir, func() error {
		store, err = layoutOf(dir).open(now)
		return err
	})
	return store, err
}

func (l layout) open(now time.Time) (*Store, error) {
	have, err := l.present()
	if err != nil {
		return nil, err
	}
	if have.none() {
		return nil, l.notThere()
	}
	if err := l.contradiction(have); err != nil {
		return nil, err
	}
	ca, err := l.readCA()
	if err != nil {
		return nil, err
	}
	dates := l.checkCA(ca, now)
	if now.After(ca.cert.NotAfter) {
		return nil, dates
	}
	if !have.server() {
		return nil, fmt.Errorf("opening %q and %q: %w: tlstunnel makes them from the CA when it starts or with `tlstunnel init`", l.serverCert, l.serverKey, fs.ErrNotExist)
	}
	store := &Store{Dir: l.dir, CA: ca.cert, Warnings: l.accessWarnings()}
	if dates != nil {
		store.Warnings = append(store.Warnings, dates.Error())
	}
	if err := l.readRotation(store); err != nil {
		return nil, err
	}
	if store.Server, err = l.openServer(store.Trusted); err != nil {
		return nil, err
	}
	return store, nil
}

func (l layout) notThere() error {
	return fmt.Errorf("opening the PKI in %q: %w: `tlstunnel init` makes one, and so does a first start", l.dir, fs.ErrNotExist)
}

// openCA reads the CA to sign with it: its dates must be right.
func (l layout) openCA(now time.Time) (issuer, error) {
	ca, err := l.readCA()
	if err != nil {
		return issuer{}, err
	}
	return ca, l.checkCA(ca, now)
}

func (l layout) checkCA(ca issuer, now time.Time) error {
	remedy := fmt.Sprintf("delete %s; `tlstunnel init` then makes a new CA, and every client needs the new %q", quote.List(l.all()), l.caCert)
	return certfile.CheckValidity(l.caCert, ca.cert, now, remedy)
}

func (l layout) readCA() (issuer, error) {
	pair, err := readOwnPair(l.caCert, l.caKey)
	if err != nil {
		return issuer{}, err
	}
	if !chain.IsCA(pair.Leaf) {
		return issuer{}, fmt.Errorf("certificate %q isn't that of a CA: restore %q and %q from a backup", l.caCert, l.caCert, l.caKey)
	}
	return issuerOf(pair), nil
}

func (l layout) openServer(cas []*x509.Certificate) (tls.Certificate, error) {
	server, err := readOwnPair(l.serverCert, l.serverKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	remedy := fmt.Sprintf("delete %q and %q; the next start makes new ones from the same CA", l.serverCert, l.serverKey)
	if !slices.ContainsFunc(cas, func(ca *x509.Certificate) bool { return server.Leaf.CheckSignatureFrom(ca) == nil }) {
		return tls.Certificate{}, fmt.Errorf("certificate %q wasn't issued by the CA in %q: restore the files that belong together from a backup, or %s", l.serverCert, l.caCert, remedy)
	}
	return server, nil
}

// readOwnPair reads a pair whose names are there. When they lead nowhere, being
// symlinks, that isn't the [fs.ErrNotExist] of [Open].
func readOwnPair(certFile, keyFile string) (tls.Certificate, error) {
	pair, err := certfile.LoadKeyPair(certFile, keyFile, "")
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New(err.Error())
	}
	return pair, err
}

func (s Settings) validate() error {
	if s.Dir == "" {
		return errors.New("the folder of the PKI isn't set")
	}
	if err := checkKeyType(s.KeyType); err != nil {
		return err
	}
	if s.CAValidity <= 0 || s.CertValidity <= 0 {
		return fmt.Errorf("the validity of a certificate must be positive: CA %v, server certificate %v", s.CAValidity, s.CertValidity)
	}
	for _, name := range s.Names {
		if !isIP(name) && !isDNSName(name) {
			return fmt.Errorf("name %q is neither an IP address nor a DNS name in ASCII (an international name is written as \"xn--…\")", name)
		}
	}
	return s.Subject.Validate()
}
