package pki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/dn"
	"tlstunnel/internal/filerights"
	"tlstunnel/internal/quote"
	"tlstunnel/pki/certfile"
)

// A rotation of the CA has two stages. From Rotate on, the next CA exists, and has
// signed the current CA's key too (the cross certificate, sent with server.crt): who
// trusts either of them accepts our server. FinishRotation makes the next CA the
// current one. The one before stays trusted as a peer's until it expires.

// Errors of a call that doesn't fit the stage of the rotation.
var (
	ErrRotating    = errors.New("a rotation of the CA is under way")
	ErrNotRotating = errors.New("no rotation of the CA is under way")
)

// Rotate begins a rotation. The error is [ErrRotating] when there is one.
func Rotate(ctx context.Context, s Settings, now time.Time) error {
	return s.rotation(ctx, now, false, func(l layout, store *Store) error {
		ca, err := l.openCA(now)
		if err != nil {
			return err
		}
		next, cross, err := s.newNextCA(thisMachine(ctx), store, now)
		if err != nil {
			return err
		}
		files, err := pairFiles(l.nextKey, next.key, l.nextCert, next.cert)
		if err != nil {
			return err
		}
		// Last: with it the rotation counts as begun.
		files = append(files, newFile{l.nextCross, certfile.EncodeCertificates(cross), atomicfile.Public})
		if _, err := publish(files, nil); err != nil {
			return err
		}
		return s.replaceServer(ctx, l, &Store{CA: ca.cert, Server: store.Server, cross: cross}, now, false)
	})
}

// FinishRotation makes the next CA the current one and renews the server
// certificate with it. The error is [ErrNotRotating] when there is none.
func FinishRotation(ctx context.Context, s Settings, now time.Time) error {
	return s.rotation(ctx, now, true, func(l layout, store *Store) error {
		if err := certfile.CheckValidity(l.nextCert, store.Next, now, "`tlstunnel ca rotate --cancel`, and rotate again"); err != nil {
			return err
		}
		if err := l.finishRotation(); err != nil {
			return err
		}
		return s.replaceServer(ctx, l, &Store{CA: store.Next, Server: store.Server}, now, false)
	})
}

// CancelRotation gives up the next CA. The error is [ErrNotRotating] when there is
// none.
func CancelRotation(ctx context.Context, s Settings, now time.Time) error {
	return s.rotation(ctx, now, true, func(l layout, store *Store) error {
		if err := l.dropNext(); err != nil {
			return err
		}
		return s.replaceServer(ctx, l, &Store{CA: store.CA, Server: store.Server}, now, false)
	})
}

// rotation calls step under the lock, after a check whether a rotation is under way, as it must
// be or must not be.
func (s Settings) rotation(ctx context.Context, now time.Time, rotating bool, step func(layout, *Store) error) error {
	if err := s.validate(); err != nil {
		return err
	}
	return filerights.AsOwner(s.Dir, func() error { return s.rotate(ctx, now, rotating, step) })
}

func (s Settings) rotate(ctx context.Context, now time.Time, rotating bool, step func(layout, *Store) error) error {
	if _, err := Open(s.Dir, now); errors.Is(err, fs.ErrNotExist) {
		return err
	}
	unlock, err := Lock(ctx, s.Dir)
	if err != nil {
		return adviseRights(err)
	}
	defer unlock()
	l := layoutOf(s.Dir)
	if _, err := l.resume(); err != nil {
		return adviseRights(err)
	}
	store, err := Open(s.Dir, now)
	switch {
	case err != nil:
		return err
	case store.Next != nil && !rotating:
		return ErrRotating
	case store.Next == nil && rotating:
		return ErrNotRotating
	}
	return adviseRights(step(l, store))
}

// newNextCA makes the next CA, which may have one CA below it: the current one,
// by the cross certificate.
func (s Settings) newNextCA(m machine, store *Store, now time.Time) (next issuer, cross *x509.Certificate, err error) {
	name := caCommonName(m.host, now.UTC().Format(time.DateOnly))
	for _, ca := range store.Trusted {
		if ca.Subject.CommonName == name { // CRLs and peers tell CAs apart by their names
			name = caCommonName(m.host, now.UTC().Format("2006-01-02 15:04:05"))
		}
	}
	if next, err = s.newCA(name, 1, now); err != nil {
		return issuer{}, nil, err
	}
	template, err := newTemplate(dn.Subject{}, store.CA.PublicKey, now, earlier(store.CA.NotAfter, next.cert.NotAfter))
	if err != nil {
		return issuer{}, nil, err
	}
	template.RawSubject, template.SubjectKeyId = store.CA.RawSubject, store.CA.SubjectKeyId
	template.IsCA, template.MaxPathLenZero, template.KeyUsage = true, true, store.CA.KeyUsage
	cross, err = sign(template, store.CA.PublicKey, next)
	return next, cross, err
}

// stage is the stage of a rotation.
type stage int

const (
	noRotation stage = iota
	rotating
	halfBegun // killed in Rotate: nobody can have the next CA yet
	finishing // killed in FinishRotation, when the next CA's key was that of the CA already
)

func (l layout) stage() (stage, error) {
	there := 0
	for _, path := range []string{l.nextKey, l.nextCert, l.nextCross} {
		if _, err := os.Lstat(path); err == nil {
			there++
		} else if !errors.Is(err, fs.ErrNotExist) {
			return 0, fmt.Errorf("looking for %q: %w", path, quote.FileError(err))
		}
	}
	switch {
	case there == 0:
		return noRotation, nil
	case sameContent(l.nextKey, l.caKey):
		return finishing, nil
	case there == 3:
		return rotating, nil
	}
	return halfBegun, nil
}

// resumeRotation completes the step in which a process was killed.
func (l layout) resumeRotation() error {
	stage, err := l.stage()
	switch {
	case err != nil:
		return err
	case stage == halfBegun:
		return l.dropNext()
	case stage == finishing:
		return l.finishRotation()
	}
	return nil
}

// finishRotation can be repeated from the start after a kill. Once ca.key is the next key, the
// rotation can't be cancelled.
func (l layout) finishRotation() error {
	if !sameContent(l.nextKey, l.caKey) {
		for _, c := range []struct {
			from, to string
			access   atomicfile.Access
		}{
			{l.caKey, l.previousKey, atomicfile.Secret},
			{l.caCert, l.previousCert, atomicfile.Public},
			{OwnCRL(l.dir), PreviousCRL(l.dir), atomicfile.Public}, // who was revoked stays so
			{l.nextKey, l.caKey, atomicfile.Secret},
		} {
			if err := copyOver(c.from, c.to, c.access); err != nil {
				return err
			}
		}
	}
	if _, err := os.Lstat(l.nextCert); err == nil { // otherwise it is copied already
		if err := copyOver(l.nextCert, l.caCert, atomicfile.Public); err != nil {
			return err
		}
		if err := removeAll(OwnCRL(l.dir)); err != nil { // it is that of the CA before
			return err
		}
	}
	return l.dropNext()
}

// copyOver replaces to with a copy of from, or removes it when there is no from.
func copyOver(from, to string, access atomicfile.Access) error {
	data, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return removeAll(to)
	}
	if err != nil {
		return fmt.Errorf("reading %q: %w", from, quote.FileError(err))
	}
	return atomicfile.Replace(to, data, access)
}

// dropNext removes the files of the next CA. It removes the key last, because [layout.stage]
// tells the stage by the key.
func (l layout) dropNext() error {
	return removeAll(l.nextCross, l.nextCert, l.nextKey)
}

// removeAll removes those of the files that exist.
func removeAll(paths ...string) error {
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing %q: %w", path, quote.FileError(err))
		}
		atomicfile.TestOnlyStep("removed")
	}
	return nil
}

func sameContent(a, b string) bool {
	dataA, errA := os.ReadFile(a)
	dataB, errB := os.ReadFile(b)
	return errA == nil && errB == nil && bytes.Equal(dataA, dataB)
}

// readRotation adds the next and the previous CA to store.
func (l layout) readRotation(store *Store) error {
	store.Trusted = []*x509.Certificate{store.CA}
	if stage, err := l.stage(); err != nil || stage == rotating {
		if err != nil {
			return err
		}
		next, err := certfile.LoadCertificates(l.nextCert)
		if err != nil {
			return err
		}
		cross, err := certfile.LoadCertificates(l.nextCross)
		if err != nil {
			return err
		}
		if !store.CA.PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(cross[0].PublicKey) || cross[0].CheckSignatureFrom(next[0]) != nil {
			return fmt.Errorf("certificate %q isn't that of the CA in %q, signed by the one in %q: restore all three from a backup, or delete %s to give up the next CA",
				l.nextCross, l.caCert, l.nextCert, quote.List([]string{l.nextKey, l.nextCert, l.nextCross}))
		}
		store.Next, store.cross = next[0], cross[0]
		store.Trusted = append(store.Trusted, next[0])
	}
	previous, err := certfile.LoadCertificates(l.previousCert)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !previous[0].Equal(store.CA) {
		store.Previous = previous[0]
		store.Trusted = append(store.Trusted, store.Previous)
	}
	return nil
}

// unfinished returns why the server certificate doesn't fit the stage of the rotation, "" if it
// does.
func (s *Store) unfinished() string {
	chain := s.Server.Certificate
	switch {
	case s.Server.Leaf.CheckSignatureFrom(s.CA) != nil:
		return "the CA is another one now"
	case s.cross != nil && (len(chain) < 2 || !bytes.Equal(chain[1], s.cross.Raw)):
		return "there is a next CA"
	}
	return ""
}
