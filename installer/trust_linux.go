package installer

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/dn"
	"tlstunnel/pki/certfile"
)

// trustStore is where a Linux distribution keeps the CAs that it trusts.
type trustStore struct {
	anchors string   // the folder of the CAs that an administrator adds, a file for each
	bundle  string   // the file that programs read, with all CAs
	program string   // makes the bundle from the anchors
	removed []string // its arguments after an anchor was removed
}

// trustStores are the stores of Debian and Red Hat, and of the distributions made from them.
// Without --fresh, Debian's program leaves links to removed anchors behind.
var trustStores = []trustStore{
	{"/usr/local/share/ca-certificates", "/etc/ssl/certs/ca-certificates.crt", "/usr/sbin/update-ca-certificates", []string{"--fresh"}},
	{"/etc/pki/ca-trust/source/anchors", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/usr/bin/update-ca-trust", nil},
}

func trustSteps(cas []*x509.Certificate) ([]Step, error) { return host{run: run}.trustSteps(cas) }

func untrustSteps(cas []*x509.Certificate) ([]Step, error) { return host{run: run}.untrustSteps(cas) }

func (h host) trustSteps(cas []*x509.Certificate) ([]Step, error) {
	s, err := h.trustStore()
	if err != nil {
		return nil, err
	}
	var steps []Step
	var wanted []string
	for _, ca := range cas {
		file := s.anchor(ca)
		wanted = append(wanted, file)
		steps = append(steps, h.anchorStep(s, file, ca))
	}
	old := slices.DeleteFunc(s.ours(), func(file string) bool { return slices.Contains(wanted, file) })
	for _, file := range old {
		steps = append(steps, removeStep("the CA of before", file))
	}
	return append(steps, Step{
		Name: fmt.Sprintf("CA in %q", s.bundle),
		Done: func() (bool, error) { return len(old) == 0 && s.current() && s.check(cas) == nil, nil },
		Do: func() error {
			if err := h.run(s.program); err != nil {
				return err
			}
			return s.check(cas)
		},
	}), nil
}

func (h host) untrustSteps(cas []*x509.Certificate) ([]Step, error) {
	s, err := h.trustStore()
	if err != nil {
		return nil, err
	}
	var steps []Step
	gone := slices.Clone(cas)
	for _, file := range s.ours() {
		steps = append(steps, removeStep("CA", file))
		certs, _ := certfile.LoadCertificates(file) // a file without a certificate adds none to the bundle
		gone = append(gone, certs...)
	}
	found := func() (*x509.Certificate, error) {
		all, err := s.certificates()
		for _, ca := range gone {
			if slices.ContainsFunc(all, ca.Equal) {
				return ca, err
			}
		}
		return nil, err
	}
	return append(steps, Step{
		Name: fmt.Sprintf("no own CA in %q", s.bundle),
		Done: func() (bool, error) {
			ca, err := found()
			return ca == nil && len(steps) == 0 && s.current(), err
		},
		Do: func() error {
			if err := h.run(s.program, s.removed...); err != nil {
				return err
			}
			ca, err := found()
			if ca == nil || err != nil {
				return err
			}
			return fmt.Errorf("the CA %q is still in %q: somebody else put it there too; remove it in the way in which it was added", dn.Text(ca.Subject), s.bundle)
		},
	}), nil
}

// trustStore finds the store of this machine.
func (h host) trustStore() (trustStore, error) {
	for _, s := range trustStores {
		s.anchors, s.bundle, s.program = h.root+s.anchors, h.root+s.bundle, h.root+s.program
		folder, err := exists(s.anchors)
		if err != nil {
			return s, err
		}
		program, err := exists(s.program)
		if folder && program || err != nil {
			return s, err
		}
	}
	return trustStore{}, fmt.Errorf("this machine's store of trusted CAs is of no known kind, that is, neither %q nor %q is here: install the package ca-certificates, or add ca.crt to the store by the system's own means",
		trustStores[0].program, trustStores[1].program)
}

// anchor is the file for a CA. Each CA has a file of its own: if a file gets another certificate,
// Debian's program doesn't notice.
func (s trustStore) anchor(ca *x509.Certificate) string {
	sum := sha256.Sum256(ca.Raw)
	return filepath.Join(s.anchors, fmt.Sprintf("tlstunnel-ca-%x.crt", sum[:8]))
}

// ours returns the files that anchor has named, and the temporary files that a killed run has left.
// The store's program may read those too.
func (s trustStore) ours() []string {
	const name = "tlstunnel-ca-????????????????.crt"
	files, _ := filepath.Glob(filepath.Join(s.anchors, name))
	left, _ := filepath.Glob(filepath.Join(s.anchors, "."+name+".????????????????.tmp"))
	return append(files, left...)
}

// current reports whether the bundle is newer than the last change of an anchor. It is older if a
// run of ours was killed between the two.
func (s trustStore) current() bool {
	anchors, err1 := os.Stat(s.anchors)
	bundle, err2 := os.Stat(s.bundle)
	return err1 == nil && err2 == nil && !anchors.ModTime().After(bundle.ModTime())
}

// anchorMode doesn't depend on the umask: the programs of all users read the file.
const anchorMode = 0o644

// anchorStep writes a CA into the folder of the anchors.
func (h host) anchorStep(s trustStore, file string, ca *x509.Certificate) Step {
	return Step{
		Name: fmt.Sprintf("CA %q in %q", dn.Text(ca.Subject), file),
		Done: func() (bool, error) {
			certs, _ := certfile.LoadCertificates(file) // an error leaves certs empty, so Do writes the file
			info, err := os.Stat(file)
			return err == nil && info.Mode().Perm() == anchorMode && len(certs) == 1 && certs[0].Equal(ca), nil
		},
		Do: func() error {
			block := &pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}
			if err := atomicfile.Replace(file, pem.EncodeToMemory(block), atomicfile.Public); err != nil {
				return err
			}
			return os.Chmod(file, anchorMode)
		},
		Undo: func() error {
			return errors.Join(os.Remove(file), h.run(s.program, s.removed...))
		},
	}
}

// check returns nil if the bundle has the CAs and they verify with it.
func (s trustStore) check(cas []*x509.Certificate) error {
	all, err := s.certificates()
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	for _, cert := range all {
		roots.AddCert(cert)
	}
	for _, ca := range cas {
		if !slices.ContainsFunc(all, ca.Equal) {
			return fmt.Errorf("%q has run, but %q lacks the CA %q: run it by itself and read what it prints", s.program, s.bundle, dn.Text(ca.Subject))
		}
		if _, err := ca.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
			return fmt.Errorf("the CA %q is in %q, but isn't good: %w", dn.Text(ca.Subject), s.bundle, err)
		}
	}
	return nil
}

// certificates returns the certificates of the bundle, or none if there is no bundle. It skips
// certificates that can't be parsed: others may have put such ones there.
func (s trustStore) certificates() (all []*x509.Certificate, err error) {
	data, err := os.ReadFile(s.bundle)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			all = append(all, cert)
		}
	}
	return all, err
}
