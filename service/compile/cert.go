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
	return b.show("cert", cert)
}

// warnOfChain warns of a chain that others will refuse. That is no error: some peer
// may not care.
func (b *builder) warnOfChain(key string, cert tls.Certificate) {
	issuers := b.trusted
	if b.store != nil {
		issuers = append(issuers[:len(issuers):len(issuers)], b.store.Trusted...)
	}
	for _, text := range certfile.ChainWarnings(cert, b.tunnel.Mode == config.ModeClient, issuers, b.now) {
		b.warn(key, text)
	}
}

// warnOfAccess warns of secret files that others may read.
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

// CertFile is the file with the certificate that a tunnel of cfg shows, "" if it shows
// none. With acme it may not be there yet.
func CertFile(cfg *config.Config, t config.Tunnel) string {
	switch {
	case t.ACME.Enabled():
		return ACME(cfg, t.ACME).CertFile()
	case t.Cert == config.Own, t.Cert == "" && t.Mode == config.ModeServer:
		return pki.ServerCert(cfg.PKI.Dir)
	}
	return t.Cert
}

// own is our own server certificate, once there is one.
func (b *builder) own(key string) []tls.Certificate {
	if b.store == nil {
		return nil
	}
	return b.show(key, b.store.Server)
}

// ownServers are the certificates by which we are a server, in so far as clients of
// the tunnel might show them: they may well be for both uses and from a CA in client_ca.
func (b *builder) ownServers() []*x509.Certificate {
	if b.tunnel.ClientAuth != config.ClientAuthRequire {
		return nil
	}
	own := slices.Clone(b.shown)
	if b.store != nil {
		own = append(own, b.store.Server.Leaf)
		b.read.Write(b.store.Server.Leaf.RawSubjectPublicKeyInfo)
	}
	return own
}

// endSoon says that cert ends soon, has ended or hasn't begun, and what to do; "" if
// all is well. It is shown all the same: a peer may not mind, or know the time
// better. Our own has renewed itself before the last quarter of its life, unless
// something is wrong.
func (b *builder) endSoon(cert *x509.Certificate) string {
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

// show makes cert what the tunnel proves its identity with; key is the one in
// the config that a warning is about.
func (b *builder) show(key string, cert tls.Certificate) []tls.Certificate {
	if text := b.endSoon(cert.Leaf); text != "" {
		p := b.warn(key, text)
		if !slices.Contains(b.expiring, p) {
			b.expiring = append(b.expiring, p)
		}
	}
	for _, der := range cert.Certificate {
		b.read.Write(der)
	}
	b.shown = append(b.shown, cert.Leaf)
	return []tls.Certificate{cert}
}
