package service

import (
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
func (tr *translator) revocationLists() (lists []*tunnel.RevocationList) {
	if tr.store != nil && trustsOwn(tr.tunnel) {
		// Nobody has a newer one of our own CA, so it is never out of date.
		for _, file := range []string{pki.OwnCRL(tr.store.Dir), pki.PreviousCRL(tr.store.Dir)} {
			own, err := certfile.LoadCRLs(file, tr.trusted)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				tr.problem("name", err.Error())
				tr.unreadable = append(tr.unreadable, file)
			}
			lists = tr.add(lists, file, own, func(l *tunnel.RevocationList) { l.NextUpdate = time.Time{} })
		}
		lists = append(lists, tr.indexed()...)
	}
	for i, file := range tr.tunnel.CRL {
		key := fmt.Sprintf("crl[%d]", i)
		if tr.isWrong(key, "ca", "client_ca") { // of these, nobody knows whose it is
			continue
		}
		crls, err := certfile.LoadCRLs(file, tr.trusted)
		if err != nil {
			tr.problem(key, err.Error())
			tr.unreadable = append(tr.unreadable, file)
		}
		for _, crl := range crls {
			if err := crl.CheckDates(file, tr.now); err != nil {
				tr.warn(key, err.Error()+tr.whileOutOfDate(crl))
			}
		}
		lists = tr.add(lists, file, crls, func(l *tunnel.RevocationList) {
			l.RefuseExpired = tr.tunnel.CRLExpired == config.CRLExpiredRefuse
		})
	}
	return lists
}

// indexed are the revocations that the index of our own CA knows: all that are on its
// CRL, and what couldn't be put there yet.
func (tr *translator) indexed() (lists []*tunnel.RevocationList) {
	file := pki.IndexFile(tr.store.Dir)
	for _, ca := range tr.trusted {
		revoked, err := pki.RevokedInIndex(tr.store.Dir, ca)
		if err != nil {
			tr.warn("name", fmt.Sprintf("%s; the tunnel goes by the CRL %q alone", err, pki.OwnCRL(tr.store.Dir)))
			tr.unreadable = append(tr.unreadable, file)
			return nil
		}
		for _, serial := range slices.Sorted(maps.Keys(revoked)) {
			fmt.Fprintln(tr.read, serial)
		}
		if len(revoked) > 0 {
			lists = append(lists, &tunnel.RevocationList{Name: file, Issuer: ca, Revoked: revoked})
		}
	}
	return lists
}

// whileOutOfDate goes on after the warning that a CRL is.
func (tr *translator) whileOutOfDate(crl certfile.CRL) string {
	switch {
	case tr.now.Before(crl.ThisUpdate):
		return ""
	case tr.tunnel.CRLExpired == config.CRLExpiredRefuse:
		return "; until then, all certificates of this CA are refused (crl_expired)"
	default:
		return "; until then, who was revoked since may connect (crl_expired)"
	}
}

func (tr *translator) add(lists []*tunnel.RevocationList, file string, crls []certfile.CRL, finish func(*tunnel.RevocationList)) []*tunnel.RevocationList {
	for _, crl := range crls {
		tr.read.Write(crl.Raw)
		l := &tunnel.RevocationList{Name: file, Issuer: crl.Issuer, Revoked: crl.Revoked(), NextUpdate: crl.NextUpdate}
		finish(l)
		lists = append(lists, l)
	}
	return lists
}

// trust notes that the tunnel trusts a CA, whose CRLs it then takes.
func (tr *translator) trust(ca *x509.Certificate) {
	if !slices.ContainsFunc(tr.trusted, ca.Equal) {
		tr.trusted = append(tr.trusted, ca)
	}
}

func trustsOwn(t config.Tunnel) bool {
	return slices.Contains(t.ClientCA, config.Own) || slices.Contains(t.CA, config.Own)
}
