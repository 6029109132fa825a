package compile

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/date"
	"tlstunnel/internal/dn"
	"tlstunnel/pki"
	"tlstunnel/pki/certfile"
)

// expirySoon is how long before a certificate's end there is a warning.
const expirySoon = 30 * 24 * time.Hour

func (b *builder) keyPair() []tls.Certificate {
	if b.isWrong("cert", "key", "key_password_file") {
		return nil
	}
	cert, err := certfile.LoadKeyPair(b.tunnel.Cert, b.tunnel.Key, b.tunnel.KeyPasswordFile)
	if err != nil {
		b.problem("cert", err.Error())
		return nil
	}
	b.warnOfChain("cert", cert)
	return b.present("cert", cert)
}

// warnOfChain warns of a chain that peers will refuse. It is no error: some peers don't
// verify the chain.
func (b *builder) warnOfChain(key string, cert tls.Certificate) {
	issuers := b.trusted
	if b.store != nil {
		issuers = append(issuers[:len(issuers):len(issuers)], b.store.Trusted...)
	}
	for _, text := range certfile.ChainWarnings(cert, b.tunnel.Mode == config.ModeClient, issuers, b.now) {
		b.warn(key, text)
	}
}

// warnOfAccess warns of secret files that other users may read.
func (b *builder) warnOfAccess() {
	for _, f := range b.cfg.FilesOf(b.index) {
		what := "key"
		if f.Key == "key_password_file" {
			what = "password file"
		}
		if text := certfile.AccessWarning(what, f.Path); f.Secret && text != "" {
			b.warn(f.Key, text)
		}
	}
}

// CertFile returns the file of the certificate that a tunnel of cfg presents, "" if it
// presents none. With acme the file may not exist yet.
func CertFile(cfg *config.Config, t config.Tunnel) string {
	switch {
	case t.ACME.Enabled():
		return ACME(cfg, t.ACME).CertFile()
	case t.Cert == config.Own, t.Cert == "" && t.Mode == config.ModeServer:
		return pki.ServerCert(cfg.PKI.Dir)
	}
	return t.Cert
}

// ownServerCert returns our own server certificate, nil if there is none yet.
func (b *builder) ownServerCert(key string) []tls.Certificate {
	if b.store == nil {
		return nil
	}
	return b.present(key, b.store.Server)
}

// ownServers returns our own server certificates if the tunnel asks for client certificates.
// A client could present one of them: it may be for both uses, and from a CA in client_ca.
func (b *builder) ownServers() []*x509.Certificate {
	if b.tunnel.ClientAuth != config.ClientAuthRequire {
		return nil
	}
	own := slices.Clone(b.certs)
	if b.store != nil {
		own = append(own, b.store.Server.Leaf)
		b.digest.Write(b.store.Server.Leaf.RawSubjectPublicKeyInfo)
	}
	return own
}

// expiryWarning says that cert ends soon, has ended or hasn't begun, and what to do. It
// returns "" if there is nothing to warn of. The tunnel presents the certificate nevertheless:
// a peer may not check the dates, or our clock may be wrong. A running service renews our own
// certificate before the last quarter of its life, so we warn of it only then.
func (b *builder) expiryWarning(cert *x509.Certificate) string {
	left := cert.NotAfter.Sub(b.now)
	own := b.store != nil && cert.Equal(b.store.Server.Leaf)
	if b.now.Before(cert.NotBefore) {
		remedy := ""
		if own && !b.now.Before(b.store.CA.NotBefore) {
			remedy = "; a running service renews it by itself, and so does `tlstunnel cert renew`"
		}
		return fmt.Sprintf("the certificate %q isn't valid before %s, and here it is %s: peers refuse it until then, unless it is this machine's clock that is wrong%s",
			dn.Text(cert.Subject), date.Time(cert.NotBefore), date.Time(b.now), remedy)
	}
	if left >= expirySoon || own && left >= cert.NotAfter.Sub(cert.NotBefore)/4 {
		return ""
	}
	text := fmt.Sprintf("the certificate %q expires on %s, in %d days: ", dn.Text(cert.Subject), date.Day(cert.NotAfter), left/(24*time.Hour))
	if left < 0 {
		text = fmt.Sprintf("the certificate %q expired on %s, and peers refuse it: ", dn.Text(cert.Subject), date.Time(cert.NotAfter))
	}
	switch {
	case !own:
		return text + "renew it"
	case !cert.NotAfter.Before(b.store.CA.NotAfter):
		return text + "its CA ends with it, `tlstunnel ca rotate` makes the next one"
	default:
		return text + "it should have renewed itself, `tlstunnel cert renew` does it or says why not"
	}
}

// present makes the tunnel present cert. key is the key of the config that a warning names.
func (b *builder) present(key string, cert tls.Certificate) []tls.Certificate {
	if text := b.expiryWarning(cert.Leaf); text != "" {
		p := b.warn(key, text)
		if !slices.Contains(b.expiring, p) {
			b.expiring = append(b.expiring, p)
		}
	}
	for _, der := range cert.Certificate {
		b.digest.Write(der)
	}
	b.certs = append(b.certs, cert.Leaf)
	return []tls.Certificate{cert}
}
