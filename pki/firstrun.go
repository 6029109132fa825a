package pki

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/filerights"
	"tlstunnel/pki/certfile"
)

// makeMissing makes the missing pairs and returns the paths of their files.
func (s Settings) makeMissing(ctx context.Context, now time.Time) ([]string, error) {
	l := layoutOf(s.Dir)
	if finished, err := l.finished(); finished || err != nil {
		return nil, err // without a lock, so that it needs no right to write
	}
	if err := atomicfile.MkdirAll(s.Dir, atomicfile.Secret); err != nil {
		return nil, adviseRights(err)
	}
	unlock, err := Lock(ctx, s.Dir)
	if err != nil {
		return nil, adviseRights(err)
	}
	defer unlock()

	resumed, err := l.resume()
	if err != nil {
		return nil, adviseRights(err)
	}
	if err := l.removeLeftovers(); err != nil {
		return nil, err
	}
	have, err := l.present()
	if err != nil {
		return nil, err
	}
	if err := l.contradiction(have); err != nil {
		return nil, err
	}
	files, server, err := s.issueMissing(ctx, l, have, now)
	if err != nil {
		return nil, err
	}
	made, err := publish(files, func() error {
		if server == nil {
			return nil
		}
		return recordServer(l.dir, server)
	})
	return append(resumed, made...), err
}

// adviseRights says what to do when the PKI may not be written.
func adviseRights(err error) error {
	if errors.Is(err, fs.ErrPermission) && !errors.As(err, new(filerights.Refused)) {
		return fmt.Errorf("%w: run as an administrator (root), or set pki.dir to a folder of your own", err)
	}
	return err
}

// finished reports whether all files exist and a killed run has left no other files.
func (l layout) finished() (bool, error) {
	have, err := l.present()
	if err != nil || !have.complete() {
		return false, err
	}
	if stage, err := l.stage(); err != nil || stage == halfBegun || stage == finishing {
		return false, err
	}
	leftovers, err := atomicfile.Leftovers(l.withRotation()...)
	return len(leftovers) == 0, err
}

func (l layout) removeLeftovers() error { return removeLeftoversOf(l.withRotation()...) }

// removeLeftoversOf removes temporary files of killed runs. The caller holds the lock.
func removeLeftoversOf(files ...string) error {
	leftovers, err := atomicfile.Leftovers(files...)
	if err != nil {
		return err
	}
	for _, path := range leftovers {
		if err := filerights.AsOwner(path, func() error { return os.Remove(path) }); err != nil {
			return err
		}
		atomicfile.TestOnlyStep("leftover removed")
	}
	return nil
}

// newFile is a file to be made.
type newFile struct {
	path   string
	data   []byte
	access atomicfile.Access
}

// issueMissing makes keys and certificates, in memory only. It returns the files to be made, in
// the order of [layout.all], and the server's certificate if it is among them.
func (s Settings) issueMissing(ctx context.Context, l layout, have presence, now time.Time) (files []newFile, server *x509.Certificate, err error) {
	if have.complete() {
		return nil, nil, nil
	}
	m := thisMachine(ctx)

	var ca issuer
	if have.ca() {
		if ca, err = l.openCA(now); err != nil {
			return nil, nil, err
		}
	} else {
		if ca, err = s.newCA(caCommonName(m.host, now.UTC().Format(time.DateOnly)), 0, now); err != nil {
			return nil, nil, err
		}
		pair, err := pairFiles(l.caKey, ca.key, l.caCert, ca.cert)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, pair...)
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err // an RSA key can take seconds
	}

	if !have.server() {
		cert, key, err := s.newServer(ca, m, now)
		if err != nil {
			return nil, nil, err
		}
		// Send the CA with the leaf: a peer that doesn't trust it can then name its fingerprint.
		pair, err := pairFiles(l.serverKey, key, l.serverCert, cert, ca.cert)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, pair...)
		server = cert
	}
	return files, server, ctx.Err()
}

func pairFiles(keyFile string, key crypto.Signer, certFile string, chain ...*x509.Certificate) ([]newFile, error) {
	keyPEM, err := certfile.EncodeKey(key)
	if err != nil {
		return nil, err
	}
	return []newFile{
		{keyFile, keyPEM, atomicfile.Secret},
		{certFile, certfile.EncodeCertificates(chain...), atomicfile.Public},
	}, nil
}

// publish makes the files in their order, all or none. It first writes all of them to the disk
// under temporary names: so a full disk is noticed before anything is published. Then it calls
// record, unless that is nil, which puts the certificates into the index. Then it renames the
// files. A kill leaves half a pair only if it falls between these renames.
func publish(files []newFile, record func() error) (created []string, err error) {
	var pending []*atomicfile.Pending
	defer func() {
		for _, p := range pending {
			p.Discard()
		}
		if err != nil {
			for _, path := range created {
				_ = filerights.AsOwner(path, func() error { return os.Remove(path) })
			}
			created = nil
		}
	}()

	for _, f := range files {
		p, err := atomicfile.Prepare(f.path, f.data, f.access)
		if err != nil {
			return nil, err
		}
		pending = append(pending, p)
	}
	if record != nil {
		if err := record(); err != nil {
			return nil, err
		}
	}
	for i, p := range pending {
		if err := p.Publish(); err != nil {
			return created, err
		}
		created = append(created, files[i].path)
	}
	return created, nil
}
