package certfile

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// signCRL makes a revocation list with the CA of store.
func signCRL(t *testing.T, store *authority, edit func(*x509.RevocationList)) []byte {
	t.Helper()
	list := &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(24 * time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{
			{SerialNumber: big.NewInt(500), RevocationTime: now, ReasonCode: 1},
			{SerialNumber: big.NewInt(501), RevocationTime: now},
			{SerialNumber: big.NewInt(502), RevocationTime: now, ReasonCode: 77},
		},
	}
	if edit != nil {
		edit(list)
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, store.ca, store.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestLoadCRLs(t *testing.T) {
	store, other := newAuthority(t, "CA"), newAuthority(t, "CA")
	cas := []*x509.Certificate{other.ca, store.ca}
	der := signCRL(t, store, nil)
	scope := []byte{0x30, 0x03, 0x81, 0x01, 0xff} // onlyContainsUserCerts
	for name, data := range map[string][]byte{
		"DER":         der,
		"PEM":         asPEM("X509 CRL", der),
		"BOM":         append([]byte("\xef\xbb\xbf"), asPEM("X509 CRL", der)...),
		"beside a CA": append(asPEM("CERTIFICATE", store.ca.Raw), asPEM("X509 CRL", der)...),
		"for users": signCRL(t, store, func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: oidDistributionPoint, Critical: true, Value: scope}}
		}),
	} {
		crls, err := LoadCRLs(writeFile(t, filepath.Join(t.TempDir(), "ca.crl"), data), cas)
		if err != nil || len(crls) != 1 || !crls[0].Issuer.Equal(store.ca) {
			t.Errorf("%s: got %v, %v", name, crls, err)
			continue
		}
		revoked := crls[0].Revoked()
		for serial, want := range map[string]string{
			"500": "on 2026-11-23 07:40:00 +00:00: keyCompromise", "501": "on 2026-11-23 07:40:00 +00:00: unspecified", "502": "on 2026-11-23 07:40:00 +00:00: reason 77",
		} {
			if revoked[serial] != want {
				t.Errorf("%s: got %q, want %q", name, revoked[serial], want)
			}
		}
	}

	two := append(asPEM("X509 CRL", der), asPEM("X509 CRL", signCRL(t, other, nil))...)
	crls, err := LoadCRLs(writeFile(t, filepath.Join(t.TempDir(), "ca.crl"), two), cas)
	if err != nil || len(crls) != 2 || !crls[1].Issuer.Equal(other.ca) {
		t.Errorf("two lists: got %v, %v", crls, err)
	}
}

func TestBadCRLs(t *testing.T) {
	store, other := newAuthority(t, "CA"), newAuthority(t, "other CA")
	der := signCRL(t, store, nil)
	extension := func(id asn1.ObjectIdentifier, critical bool, value string) []byte {
		return signCRL(t, store, func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: id, Critical: critical, Value: []byte(value)}}
		})
	}
	entry := func(id asn1.ObjectIdentifier) []byte {
		return signCRL(t, store, func(l *x509.RevocationList) {
			l.RevokedCertificateEntries[0].ExtraExtensions = []pkix.Extension{{Id: id, Critical: true, Value: []byte{0x30, 0}}}
		})
	}
	forged := append([]byte{}, der...)
	forged[len(forged)-1] ^= 1
	custom := asn1.ObjectIdentifier{1, 2, 3}
	tests := []struct {
		name string
		data []byte
		cas  []*x509.Certificate
		want string
	}{
		{"stranger", der, []*x509.Certificate{other.ca}, "which isn't a CA that this tunnel trusts: name its certificate too, or remove the CRL"},
		{"no CA", der, nil, "which isn't a CA that this tunnel trusts"},
		{"forged", forged, nil, "isn't signed by that CA as this tunnel knows it: get it anew from the CA"},
		{"cut off", der[:len(der)-5], nil, "is damaged or no revocation list"},
		{"version 1", []byte("\x30\x04\x30\x02\x30\x00"), nil, "is of version 1, which isn't supported: have the CA make version 2"},
		{"certificate in DER", store.ca.Raw, nil, "is a certificate where a revocation list is needed"},
		{"certificate", asPEM("CERTIFICATE", store.ca.Raw), nil, `holds a certificate: a revocation list is needed, in PEM with the line "-----BEGIN X509 CRL-----" or in DER`},
		{"key", readFile(t, filepath.Join(store.dir, "ca.key")), nil, "holds a private key: a revocation list is needed"},
		{"text", []byte("hello"), nil, "has no PEM in it: a revocation list is needed"},
		{"half a PEM", asPEM("X509 CRL", der)[:200], nil, "is damaged: it has a PEM block that is cut off or malformed: get it anew from the CA"},
		{"PKCS#12", []byte("\x30\x05\x02\x01\x03\x30\x00"), nil, "looks like PKCS#12 (.pfx, .p12), which isn't supported here: a revocation list is needed"},
		{"empty", nil, nil, "it is empty"},
		{"delta", extension(oidDelta, true, "\x02\x01\x01"), nil, "is a delta CRL, which has only the changes: get the complete one"},
		{"indirect", extension(oidDistributionPoint, true, "\x30\x03\x84\x01\xff"), nil, "is an indirect CRL, which speaks for other CAs than its issuer: get the one of each CA"},
		{"indirect entry", entry(oidEntryIssuer), nil, "is an indirect CRL"},
		{"some reasons", extension(oidDistributionPoint, true, "\x30\x04\x83\x02\x06\x40"), nil, "is about some reasons or attributes only: get the complete one"},
		{"damaged scope", extension(oidDistributionPoint, true, "\x30\x05"), nil, "is damaged: its distribution point can't be read"},
		{"critical", extension(custom, true, "\x05\x00"), nil, "has the critical extension 1.2.3, which isn't supported: ask the CA for a plain CRL"},
		{"critical entry", entry(custom), nil, "has the critical extension 1.2.3 for serial number 500, which isn't supported"},
	}
	for _, tt := range tests {
		file := writeFile(t, filepath.Join(t.TempDir(), "ca.crl"), tt.data)
		if tt.cas == nil && tt.name != "no CA" {
			tt.cas = []*x509.Certificate{store.ca}
		}
		crls, err := LoadCRLs(file, tt.cas)
		if crls != nil || err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "CRL "+strconv.Quote(file)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	if _, err := LoadCRLs(filepath.Join(t.TempDir(), "ca.crl"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
	if _, err := LoadCRLs(os.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "it is a folder") {
		t.Errorf("a folder: got %v", err)
	}
}

func TestCRLDates(t *testing.T) {
	store := newAuthority(t, "CA")
	crls, err := LoadCRLs(writeFile(t, filepath.Join(t.TempDir(), "ca.crl"), signCRL(t, store, nil)), []*x509.Certificate{store.ca})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		now  time.Time
		want string
	}{
		{now, ""},
		{now.Add(24 * time.Hour), ""},
		{now.Add(24*time.Hour + time.Second), `CRL "f" has been out of date since 2026-11-24 07:40:00 +00:00: get a new one from the CA "`},
		{now.Add(-time.Second), `CRL "f" is from 2026-11-23 07:40:00 +00:00, and the clock says 2026-11-23 07:39:59 +00:00: check the clock of this machine`},
	} {
		err := crls[0].CheckDates("f", tt.now)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("at %v: got %v, want %q", tt.now, err, tt.want)
		}
	}
}
