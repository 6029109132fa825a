package compile

import (
	"crypto/x509"
	"fmt"

	"tlstunnel/internal/config"
	"tlstunnel/internal/dn"
	"tlstunnel/pki/certfile"
)

// caPool reads the CAs of one key of the config.
func (b *builder) caPool(key string, files []string) *x509.CertPool {
	pool := x509.NewCertPool()
	add := func(cert *x509.Certificate) {
		b.digest.Write(cert.Raw)
		b.trust(cert)
		pool.AddCert(cert)
	}
	for i, file := range files {
		if b.isWrong(fmt.Sprintf("%s[%d]", key, i)) {
			continue
		}
		if file == config.Own {
			if b.store != nil {
				for _, ca := range b.store.Trusted {
					add(ca)
				}
			}
			continue
		}
		certs, unusable, err := certfile.LoadCAs(file)
		if err != nil {
			b.problem(fmt.Sprintf("%s[%d]", key, i), err.Error())
		}
		for _, why := range unusable {
			b.warn(fmt.Sprintf("%s[%d]", key, i), why.Error())
		}
		for _, cert := range certs {
			if !cert.IsCA {
				b.warn(fmt.Sprintf("%s[%d]", key, i), fmt.Sprintf("%q holds the certificate %q, which isn't a CA's: it is trusted only until the other side renews it; use the certificate of its CA instead", file, dn.Text(cert.Subject)))
			}
			add(cert)
		}
		if err := certfile.CheckCAs(file, certs, b.now); err != nil {
			b.warn(fmt.Sprintf("%s[%d]", key, i), err.Error())
		}
	}
	return pool
}
