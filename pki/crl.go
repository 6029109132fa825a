package pki

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"time"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/pki/certfile"
)

// crlLife is the time from a CRL to its next update. After half of it the CRL is signed again.
const crlLife = 30 * 24 * time.Hour

// RefreshCRL signs a new CRL of the CA in dir if half of the old one's life is over, if the old
// one is from the future because the clock was ahead, or if it lacks a revocation that is in
// the index. It reports whether it did. Before the first revocation there is no CRL.
func RefreshCRL(ctx context.Context, dir string, now time.Time) (bool, error) {
	if _, err := os.Stat(IndexFile(dir)); errors.Is(err, fs.ErrNotExist) {
		return false, nil // nothing is revoked
	}
	a, err := OpenAuthority(ctx, dir, now)
	if err != nil {
		return false, err
	}
	defer a.Close()
	return a.crlRenewed, a.crlErr
}

// crlSigner is an own CA and the file of its CRL.
type crlSigner struct {
	issuer
	file string
}

func (s crlSigner) issued(i Issued) bool {
	return i.Issuer == hex.EncodeToString(s.cert.SubjectKeyId)
}

// crlSigners returns the CA and, after a rotation, the previous CA, whose certificates are still
// trusted.
func (a *Authority) crlSigners() ([]crlSigner, error) {
	signers := []crlSigner{{a.ca, OwnCRL(a.dir)}}
	l := layoutOf(a.dir)
	previous, err := certfile.LoadKeyPair(l.previousCert, l.previousKey, "")
	if errors.Is(err, fs.ErrNotExist) {
		return signers, nil
	}
	if err != nil {
		return nil, err
	}
	if !previous.Leaf.Equal(a.ca.cert) {
		signers = append(signers, crlSigner{issuerOf(previous), PreviousCRL(a.dir)})
	}
	return signers, nil
}

func (a *Authority) refreshCRL() (changed bool, err error) {
	index, err := loadIndex(a.dir)
	if err != nil {
		return false, err
	}
	signers, err := a.crlSigners()
	if err != nil {
		return false, err
	}
	for _, s := range signers {
		signed, failed := s.refresh(index, a.now)
		changed, err = changed || signed, errors.Join(err, failed)
	}
	return changed, err
}

// refresh signs the CRL anew if it must be, and returns whether it did.
func (s crlSigner) refresh(index []Issued, now time.Time) (bool, error) {
	entries := s.revoked(index, now)
	old, err := s.current()
	if err != nil {
		return false, err
	}
	if old == nil && len(entries) == 0 || old != nil && covers(old, entries) && isFresh(old, now) {
		return false, nil
	}
	if old != nil {
		entries = append(entries, s.onlyOn(old, entries, index, now)...)
	}
	number := big.NewInt(now.Unix()) // goes on though the file is lost
	if old != nil && old.Number != nil && old.Number.Cmp(number) >= 0 {
		number.Add(old.Number, big.NewInt(1))
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number:                    number,
		ThisUpdate:                now.Add(-backdate),
		NextUpdate:                now.Add(crlLife),
		RevokedCertificateEntries: entries,
	}, s.cert, s.key)
	if err != nil {
		return false, fmt.Errorf("signing the CRL %q: %w", s.file, err)
	}
	if err := removeLeftoversOf(s.file); err != nil {
		return false, err
	}
	data := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
	return true, atomicfile.Replace(s.file, data, atomicfile.Public)
}

// current returns the CRL of this CA, nil if there is none that can be read: the index has all
// that is needed to make it.
func (s crlSigner) current() (*certfile.CRL, error) {
	crls, err := certfile.LoadCRLs(s.file, []*x509.Certificate{s.cert})
	if errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	if err != nil || len(crls) != 1 {
		return nil, nil
	}
	return &crls[0], nil
}

// isFresh reports whether the list isn't from the future and is in the first half of its life.
func isFresh(c *certfile.CRL, now time.Time) bool {
	return !now.Before(c.ThisUpdate) && now.Before(c.NextUpdate.Add(-crlLife/2))
}

// covers reports whether the list has all needed entries.
func covers(c *certfile.CRL, entries []x509.RevocationListEntry) bool {
	have := c.Revoked()
	for _, e := range entries {
		if _, ok := have[e.SerialNumber.String()]; !ok {
			return false
		}
	}
	return true
}

// revoked returns the entries for the CRL. An expired certificate stays until one CRL after its
// end has listed it (RFC 5280, section 3.3).
func (s crlSigner) revoked(index []Issued, now time.Time) (entries []x509.RevocationListEntry) {
	for _, i := range index {
		if i.Revoked.IsZero() || !s.issued(i) || now.After(i.NotAfter.Add(crlLife)) {
			continue
		}
		serial, ok := new(big.Int).SetString(i.Serial, 16)
		if !ok {
			continue
		}
		code, _ := certfile.ReasonCode(i.Reason) // 0 (unspecified) for a reason that a later version wrote
		entries = append(entries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: i.Revoked, ReasonCode: code})
	}
	return entries
}

// onlyOn returns the entries of the old CRL that aren't among the new ones, because the index
// was lost or another program signed the CRL with our key. A revoked certificate stays revoked
// until long after its end.
func (s crlSigner) onlyOn(old *certfile.CRL, entries []x509.RevocationListEntry, index []Issued, now time.Time) (more []x509.RevocationListEntry) {
	known := map[string]bool{}
	for _, e := range entries {
		known[e.SerialNumber.String()] = true
	}
	for _, i := range index {
		if serial, ok := new(big.Int).SetString(i.Serial, 16); ok && s.issued(i) && now.After(i.NotAfter.Add(crlLife)) {
			known[serial.String()] = true
		}
	}
	for _, e := range old.RevokedCertificateEntries {
		if !known[e.SerialNumber.String()] {
			more = append(more, x509.RevocationListEntry{SerialNumber: e.SerialNumber, RevocationTime: e.RevocationTime, ReasonCode: e.ReasonCode})
		}
	}
	return more
}
