package pki

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"time"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/date"
	"tlstunnel/internal/filerights"
	"tlstunnel/pki/certfile"
)

// RenewOptions are for an administrator who renews by hand.
type RenewOptions struct {
	Force  bool // renew even if it isn't due
	NewKey bool // make a new key; otherwise the key stays
}

// NextRenewal says when the server certificate of the PKI in s.Dir is to be renewed, and
// why: at two thirds of its life, or at once when it lacks a name or address that the
// machine has or s.Names asks for, or was made while the clock was ahead. It may have
// expired. The zero time is never: the CA ends with it, so that a new one would last no
// longer.
func NextRenewal(ctx context.Context, s Settings, now time.Time) (at time.Time, reason string, err error) {
	store, err := Open(s.Dir, now)
	if err != nil {
		return time.Time{}, "", err
	}
	at, reason = s.renewalDue(ctx, store, now)
	return at, reason, nil
}

func (s Settings) renewalDue(ctx context.Context, store *Store, now time.Time) (at time.Time, reason string) {
	leaf := store.Server.Leaf
	if reason := store.unfinished(); reason != "" {
		return now, reason
	}
	if isAhead(leaf, store.CA, now) {
		return now, "it isn't valid before " + date.Time(leaf.NotBefore) + ": the clock was ahead when it was made"
	}
	if missing := s.missingNames(thisMachine(ctx), leaf); len(missing) > 0 {
		return now, "it lacks " + strings.Join(missing, ", ")
	}
	return twoThirds(leaf, store.CA, s.CertValidity), "two thirds of its life are over"
}

// isAhead reports whether the clock was ahead when leaf was made. Before its CA is valid,
// it is now that the clock is wrong.
func isAhead(leaf, ca *x509.Certificate, now time.Time) bool {
	return now.Before(leaf.NotBefore) && !now.Before(ca.NotBefore)
}

// twoThirds counts from when the certificate was made. A certificate made for
// longer than validity goes on until a new one would outlast it.
func twoThirds(leaf, ca *x509.Certificate, validity time.Duration) time.Time {
	if !leaf.NotAfter.Before(ca.NotAfter) {
		return time.Time{}
	}
	made := leaf.NotBefore.Add(backdate)
	if !made.Before(leaf.NotAfter) {
		made = leaf.NotBefore
	}
	due := made.Add(leaf.NotAfter.Sub(made) / 3 * 2)
	if outlasts := leaf.NotAfter.Add(-validity); outlasts.After(due) {
		return outlasts
	}
	return due
}

// missingNames returns the names that a new certificate would have and leaf lacks. It ignores
// link-local addresses: they come and go with each virtual interface, and no client connects
// to them by a certificate's name.
func (s Settings) missingNames(m machine, leaf *x509.Certificate) (missing []string) {
	names, ips := m.subjectAltNames(append(slices.Clone(s.Names), s.commonName(m)))
	for _, name := range names {
		if !slices.Contains(leaf.DNSNames, name) {
			missing = append(missing, name)
		}
	}
	for _, ip := range ips {
		if !ip.IsLinkLocalUnicast() && !slices.ContainsFunc(leaf.IPAddresses, ip.Equal) {
			missing = append(missing, net.IP(ip).String())
		}
	}
	return missing
}

func (s Settings) commonName(m machine) string {
	return cmp.Or(s.Subject.CommonName, m.commonName())
}

// Renew gives the server a new certificate if one is due, and returns why, or ""
// if nothing had to be done. Whoever reads server.crt gets the old one or the new.
// With a new key there is an instant in which the two files don't belong together;
// after a kill in that instant, the next [Ensure] completes what is left.
func Renew(ctx context.Context, s Settings, now time.Time, opts RenewOptions) (reason string, err error) {
	if err := s.validate(); err != nil {
		return "", err
	}
	err = filerights.AsOwner(s.Dir, func() error {
		reason, err = s.renew(ctx, now, opts)
		return err
	})
	return reason, err
}

func (s Settings) renew(ctx context.Context, now time.Time, opts RenewOptions) (reason string, err error) {
	if _, err := Open(s.Dir, now); errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	unlock, err := Lock(ctx, s.Dir)
	if err != nil {
		return "", adviseRights(err)
	}
	defer unlock()
	l := layoutOf(s.Dir)
	if _, err := l.resume(); err != nil {
		return "", adviseRights(err)
	}
	// Another process may have renewed it meanwhile.
	store, err := Open(s.Dir, now)
	if err != nil {
		return "", err
	}
	at, reason := s.renewalDue(ctx, store, now)
	if opts.Force {
		reason = "asked for"
	} else if at.IsZero() || at.After(now) {
		return "", nil
	}
	return reason, adviseRights(s.replaceServer(ctx, l, store, now, opts.NewKey))
}

// replaceServer issues a new server certificate and puts it in the place of the
// old. The caller holds the lock.
func (s Settings) replaceServer(ctx context.Context, l layout, store *Store, now time.Time, newKey bool) error {
	ca, err := l.openCA(now)
	if err != nil {
		return err
	}
	key := store.Server.PrivateKey.(crypto.Signer)
	if newKey {
		if key, err = GenerateKey(s.KeyType); err != nil {
			return err
		}
	}
	cert, err := s.newServerFor(key, ca, thisMachine(ctx), now)
	if err != nil {
		return err
	}
	above := ca.cert
	if store.cross != nil {
		above = store.cross
	}
	files, err := pairFiles(l.serverKey, key, l.serverCert, cert, above)
	if err != nil {
		return err
	}
	record := func() error { return recordServer(l.dir, cert) }
	if !newKey {
		_, err := replaceAll(files[1:], record)
		return err
	}
	oldKey, err := certfile.EncodeKey(store.Server.PrivateKey.(crypto.Signer))
	if err != nil {
		return err
	}
	begun, err := replaceAll(files, record)
	if begun && err != nil {
		err = errors.Join(err, atomicfile.Replace(l.serverKey, oldKey, atomicfile.Secret))
	}
	return err
}

// replaceAll replaces files as [publish] makes them: it writes all of them to the disk before it
// calls record and replaces the first. So if the disk is full, the index has no entry for a
// file that doesn't exist.
// begun means that files may have been replaced.
func replaceAll(files []newFile, record func() error) (begun bool, err error) {
	var pending []*atomicfile.Pending
	defer func() {
		for _, p := range pending {
			p.Discard()
		}
	}()
	for _, f := range files {
		p, err := atomicfile.Prepare(f.path, f.data, f.access)
		if err != nil {
			return false, err
		}
		pending = append(pending, p)
	}
	if err := record(); err != nil {
		return false, err
	}
	for _, p := range pending {
		if err := p.Replace(); err != nil {
			return true, err
		}
	}
	return true, nil
}

// resumeRenewal completes a renewal with a new key that was killed when the new
// key was in its place and the new certificate not yet.
func (l layout) resumeRenewal() error {
	if _, err := certfile.LoadKeyPair(l.serverCert, l.serverKey, ""); err == nil {
		return nil
	}
	leftovers, err := atomicfile.Leftovers(l.serverCert)
	if err != nil {
		return err
	}
	for _, leftover := range leftovers {
		pair, err := certfile.LoadKeyPair(leftover, l.serverKey, "")
		if err != nil || !isRegular(leftover) || !l.isFromCA(pair) {
			continue
		}
		pending, err := atomicfile.Resume(leftover, l.serverCert)
		if err != nil {
			return err
		}
		return pending.Replace()
	}
	return nil
}

// renewUnusable renews a server certificate that no peer accepts: it has expired while
// nobody was there to do it in time, or was made while the clock was ahead, or isn't of the
// CA since a rotation was killed. That the PKI can't be opened isn't an error: the one
// who opens it says what is wrong.
func (s Settings) renewUnusable(ctx context.Context, now time.Time) (string, error) {
	store, err := Open(s.Dir, now)
	if err != nil {
		return "", nil
	}
	leaf := store.Server.Leaf
	if !now.After(leaf.NotAfter) && !isAhead(leaf, store.CA, now) && store.unfinished() == "" {
		return "", nil
	}
	if _, err := Renew(ctx, s, now, RenewOptions{}); err != nil {
		return "", fmt.Errorf("renewing certificate %q, which is valid from %s to %s: %w",
			layoutOf(s.Dir).serverCert, date.Time(leaf.NotBefore), date.Time(leaf.NotAfter), err)
	}
	return layoutOf(s.Dir).serverCert, nil
}
