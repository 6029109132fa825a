package certfile

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/dn"
	"tlstunnel/internal/testkit"
)

func TestDescribeText(t *testing.T) {
	d := Describe(&x509.Certificate{
		Raw:                   []byte("DER"),
		Subject:               pkix.Name{Names: []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 6}, Value: "KR"}, {Type: []int{2, 5, 4, 10}, Value: "Example Co., Ltd."}, {Type: []int{1, 2, 840, 113549, 1, 9, 1}, Value: "a@b.example"}}},
		Issuer:                pkix.Name{Names: []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 3}, Value: "evil\x1b[2J"}, {Type: []int{1, 2, 3}, Value: "other"}}},
		DNSNames:              []string{"host.example"},
		IPAddresses:           []net.IP{net.IPv4(192, 0, 2, 7)},
		SerialNumber:          big.NewInt(0x01ab),
		SignatureAlgorithm:    x509.SHA256WithRSA,
		NotBefore:             now,
		NotAfter:              now.Add(49 * time.Hour),
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		SubjectKeyId:          []byte{0xca, 0xfe},
		PublicKeyAlgorithm:    x509.DSA,
	}, now)
	var b strings.Builder
	if err := d.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("DER"))
	want := `subject:         C=KR, O="Example Co., Ltd.", emailAddress=a@b.example
issuer:          CN="evil\x1b[2J", 1.2.3=other
names:           host.example
                 192.0.2.7
public key:      DSA
not before:      2026-11-23 07:40:00 +00:00
not after:       2026-11-25 08:40:00 +00:00
validity:        valid, 2 days left
CA:              yes, path length 0
key usage:       digital signature, certificate signing, CRL signing
extended usage:  TLS server, TLS client
signature:       SHA256-RSA
serial:          01:AB
subject key:     CA:FE
SHA-256:         ` + colonHex(sum[:]) + "\npin:             sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
	if got := b.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestDescribeUnknown is about algorithms that Go doesn't know, such as Ed448.
func TestDescribeUnknown(t *testing.T) {
	d := Describe(&x509.Certificate{SerialNumber: big.NewInt(1)}, now)
	for _, got := range []string{d.PublicKey, d.SignatureAlgorithm} {
		if want := "of a kind that isn't supported"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestDescribeValidity(t *testing.T) {
	cert := &x509.Certificate{NotBefore: now, NotAfter: now.AddDate(0, 0, 10)}
	for _, test := range []struct {
		now  time.Time
		want string
	}{
		{now.AddDate(0, 0, -1), "not valid yet, 1 day to go"},
		{now.Add(-time.Hour), "not valid yet, less than a day to go"},
		{now, "valid, 10 days left"},
		{now.AddDate(0, 0, 9), "valid, 1 day left"},
		{now.AddDate(0, 0, 13), "expired 3 days ago"},
	} {
		if got := validityText(cert, test.now); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// TestDescribeRare: words for what only few certificates have.
func TestDescribeRare(t *testing.T) {
	d := Describe(&x509.Certificate{
		SerialNumber: big.NewInt(1), BasicConstraintsValid: true, IsCA: true, MaxPathLen: -1,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageAny, x509.ExtKeyUsageCodeSigning, x509.ExtKeyUsageEmailProtection,
			x509.ExtKeyUsageTimeStamping, x509.ExtKeyUsageOCSPSigning, x509.ExtKeyUsageIPSECUser},
		UnknownExtKeyUsage:    []asn1.ObjectIdentifier{{1, 2, 3}},
		PermittedDNSDomains:   []string{"clinic.example"},
		ExcludedDNSDomains:    []string{"guests.clinic.example"},
		CRLDistributionPoints: []string{"http://ca.example/ca.crl"},
		OCSPServer:            []string{"http://ca.example/ocsp"},
		IssuingCertificateURL: []string{"http://ca.example/ca.crt"},
		Extensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{2, 5, 29, 30}, Critical: true}, {Id: asn1.ObjectIdentifier{2, 5, 29, 31}},
			{Id: asn1.ObjectIdentifier{2, 5, 29, 36}}, {Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}},
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}}, {Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2}},
			{Id: asn1.ObjectIdentifier{1, 2, 3}},
		},
	}, now)
	if want := "yes, any path length"; d.CA != want {
		t.Errorf("got %q, want %q", d.CA, want)
	}
	want := []string{"any", "code signing", "email protection", "time stamping", "OCSP signing", "other (ipsecUser)", "1.2.3"}
	if !slices.Equal(d.ExtKeyUsage, want) {
		t.Errorf("got %q, want %q", d.ExtKeyUsage, want)
	}
	want = []string{
		"name constraints only clinic.example, not guests.clinic.example, critical", "CRL at http://ca.example/ca.crl", "policy constraints",
		"issuer's services OCSP at http://ca.example/ocsp, its certificate at http://ca.example/ca.crt",
		"must staple OCSP", "Microsoft certificate template", "unknown (1.2.3)",
	}
	if !slices.Equal(d.Extensions, want) {
		t.Errorf("got %q, want %q", d.Extensions, want)
	}
}

func TestFingerprintIsThatOfOpenSSL(t *testing.T) {
	store := newAuthority(t, "CA")
	out := testkit.Run(t, "openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", filepath.Join(store.dir, "ca.crt"))
	if got := dn.Fingerprint(store.ca); !strings.Contains(out, "="+got+"\n") {
		t.Errorf("got %s, want %s", got, out)
	}
}
