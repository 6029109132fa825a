package compile

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/pki"
	"tlstunnel/pki/certfile"
	"tlstunnel/tunnel"
)

// revocationLists reads the CRLs of the CAs that the tunnel trusts: our own, if
// there is one, and those in crl.
func (b *builder) revocationLists() (lists []*tunnel.RevocationList) {
	if b.store != nil && TrustsOwn(b.tunnel) {
		// Only we sign CRLs of our own CA, so this one is never out of date.
		for _, file := range []string{pki.OwnCRL(b.store.Dir), pki.PreviousCRL(b.store.Dir)} {
			own, err := certfile.LoadCRLs(file, b.trusted)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				b.problem("name", err.Error())
				b.unreadable = append(b.unreadable, file)
			}
			lists = b.addCRLs(lists, file, own, func(l *tunnel.RevocationList) { l.NextUpdate = time.Time{} })
		}
		lists = append(lists, b.fromIndex()...)
	}
	for i, file := range b.tunnel.CRL {
		key := fmt.Sprintf("crl[%d]", i)
		if b.isWrong(key, "ca", "client_ca") { // without the CA we can't verify its CRL
			continue
		}
		crls, err := certfile.LoadCRLs(file, b.trusted)
		if err != nil {
			b.problem(key, err.Error())
			b.unreadable = append(b.unreadable, file)
		}
		for _, crl := range crls {
			if err := crl.CheckDates(file, b.now); err != nil {
				b.warn(key, err.Error()+b.whileOutOfDate(crl))
			}
		}
		lists = b.addCRLs(lists, file, crls, func(l *tunnel.RevocationList) {
			l.RefuseExpired = b.tunnel.CRLExpired == config.CRLExpiredRefuse
		})
	}
	return lists
}

// fromIndex returns the revocations in the index of our own CA: all that are on its CRL, and
// those that couldn't be written there yet.
func (b *builder) fromIndex() (lists []*tunnel.RevocationList) {
	file := pki.IndexFile(b.store.Dir)
	for _, ca := range b.trusted {
		revoked, err := pki.RevokedInIndex(b.store.Dir, ca)
		if err != nil {
			b.warn("name", fmt.Sprintf("%s; the tunnel goes by the CRL %q alone", err, pki.OwnCRL(b.store.Dir)))
			b.unreadable = append(b.unreadable, file)
			return nil
		}
		for _, serial := range slices.Sorted(maps.Keys(revoked)) {
			fmt.Fprintln(b.digest, serial)
		}
		if len(revoked) > 0 {
			lists = append(lists, &tunnel.RevocationList{Name: file, Issuer: ca, Revoked: revoked})
		}
	}
	return lists
}

// whileOutOfDate continues the warning that a CRL is out of date. It says what that means.
func (b *builder) whileOutOfDate(crl certfile.CRL) string {
	switch {
	case b.now.Before(crl.ThisUpdate):
		return ""
	case b.tunnel.CRLExpired == config.CRLExpiredRefuse:
		return "; until then, all certificates of this CA are refused (crl_expired)"
	default:
		return "; until then, certificates that were revoked since are accepted (crl_expired)"
	}
}

func (b *builder) addCRLs(lists []*tunnel.RevocationList, file string, crls []certfile.CRL, finish func(*tunnel.RevocationList)) []*tunnel.RevocationList {
	for _, crl := range crls {
		b.digest.Write(crl.Raw)
		l := &tunnel.RevocationList{Name: file, Issuer: crl.Issuer, Revoked: crl.Revoked(), NextUpdate: crl.NextUpdate}
		finish(l)
		lists = append(lists, l)
	}
	return lists
}

// trust adds a CA to those that the tunnel trusts and whose CRLs it accepts.
func (b *builder) trust(ca *x509.Certificate) {
	if !slices.ContainsFunc(b.trusted, ca.Equal) {
		b.trusted = append(b.trusted, ca)
	}
}

// RevocationsNow reads the revocations of p, the i-th tunnel of cfg, from its files. complete
// says whether all of them can be read. A list that can't be read stays as it is.
func (p *Prepared) RevocationsNow(cfg *config.Config, i int, now time.Time) (lists []*tunnel.RevocationList, complete bool) {
	b := builder{cfg: cfg, store: &pki.Store{Dir: cfg.PKI.Dir}, now: now, index: i, tunnel: p.Config, digest: sha256.New(), trusted: p.trusted}
	lists = b.revocationLists()
	for _, old := range p.Settings.RevocationLists {
		if slices.Contains(b.unreadable, old.Name) {
			lists = append(lists, old)
		}
	}
	return lists, b.unreadable == nil
}

// SetRevocations replaces the revocations of p. It clears the digest, so that p is the same as
// no other tunnel: the next reload applies all files again.
func (p *Prepared) SetRevocations(lists []*tunnel.RevocationList) {
	p.Settings.RevocationLists = lists
	p.digest = [sha256.Size]byte{}
}
