package certfile

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"
	"testing"

	"tlstunnel/internal/testkit"
)

// TestRequestedUsage: what a key shall be used for is told in the same words as for a
// certificate with the same extensions.
func TestRequestedUsage(t *testing.T) {
	key := testkit.NewKey()
	template := &x509.Certificate{
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign | x509.KeyUsageDecipherOnly,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageAny,
			x509.ExtKeyUsageIPSECUser, x509.ExtKeyUsageMicrosoftKernelCodeSigning},
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{{1, 2, 3, 4}},
	}
	cert := testkit.Sign(template, key, nil).Certificate
	describe := func(extensions ...pkix.Extension) CSRDescription {
		t.Helper()
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{ExtraExtensions: extensions}, key)
		check(t, err)
		csr, err := x509.ParseCertificateRequest(der)
		check(t, err)
		return DescribeCSR(csr)
	}
	var usages []pkix.Extension
	for _, extension := range cert.Extensions {
		if oid := extension.Id.String(); oid == oidKeyUsage || oid == oidExtKeyUsage {
			usages = append(usages, extension)
		}
	}
	got, want := describe(usages...), Describe(cert, now)
	if !slices.Equal(got.KeyUsage, want.KeyUsage) || !slices.Equal(got.ExtKeyUsage, want.ExtKeyUsage) || len(got.KeyUsage) != 3 || len(got.ExtKeyUsage) != 6 {
		t.Errorf("got %q and %q, want %q and %q", got.KeyUsage, got.ExtKeyUsage, want.KeyUsage, want.ExtKeyUsage)
	}
	var b strings.Builder
	if err := got.WriteText(&b); err != nil || !strings.Contains(b.String(), "\nkey usage:       digital signature, certificate signing, decipher only\nextended usage:  TLS server, TLS client, any, ") {
		t.Errorf("got %v, %s", err, &b)
	}
	for i := range usages {
		usages[i].Value = []byte{4, 0}
	}
	if got := describe(usages...); !slices.Equal(got.KeyUsage, []string{"damaged"}) || !slices.Equal(got.ExtKeyUsage, []string{"damaged"}) {
		t.Errorf("got %q and %q", got.KeyUsage, got.ExtKeyUsage)
	}
	if got := describe(); len(got.KeyUsage)+len(got.ExtKeyUsage) != 0 {
		t.Errorf("got %q and %q", got.KeyUsage, got.ExtKeyUsage)
	}
}
