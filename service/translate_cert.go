package service

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/date"
	"tlstunnel/internal/dn"
	"tlstunnel/pki/certfile"
)

func (tr *translator) keyPair() []tls.Certificate {
	if tr.isWrong("cert", "key", "key_password_file") {
		return nil
	}
	cert, err := certfile.LoadKeyPair(tr.tunnel.Cert, tr.tunnel.Key, tr.tunnel.KeyPasswordFile)
	if err != nil {
		tr.problem("cert", err.Error())
		return nil
	}
	tr.warnOfChain("cert", cert)
	return tr.show("cert", cert)
}

// warnOfChain warns of a chain that others will refuse. That is no error: some peer
// may not care.
func (tr *translator) warnOfChain(key string, cert tls.Certificate) {
	issuers := tr.trusted
	if tr.store != nil {
		issuers = append(issuers[:len(issuers):len(issuers)], tr.store.Trusted...)
	}
	for _, text := range certfile.ChainWarnings(cert, tr.tunnel.Mode == config.ModeClient, issuers, tr.now) {
		tr.warn(key, text)
	}
}

// warnOfAccess warns of secret files that others may read.
func (tr *translator) warnOfAccess() {
	for _, f := range tr.cfg.FilesOf(tr.index) {
		what := "key"
		if f.Key == "key_password_file" {
			what = "password file"
		}
		if text := certfile.AccessWarning(what, f.Path); f.Secret && text != "" {
			tr.warn(f.Key, text)
		}
	}
}

// CertFile is the file with the certificate that a tunnel of cfg shows, "" if it shows
// none. With acme it may not be there yet.
func CertFile(cfg *config.Config, t config.Tunnel) string {
	switch {
	case t.ACME.Enabled():
		return acmeOf(cfg, t.ACME).CertFile()
	case t.Cert == config.Own, t.Cert == "" && t.Mode == config.ModeServer:
		return filepath.Join(cfg.PKI.Dir, "server.crt")
	}
	return t.Cert
}

// own is our own server certificate, once there is one.
func (tr *translator) own(key string) []tls.Certificate {
	if tr.store == nil {
		return nil
	}
	return tr.show(key, tr.store.Server)
}

// ownServers are the certificates by which we are a server, in so far as clients of
// the tunnel might show them: they may well be for both uses and from a CA in client_ca.
func (tr *translator) ownServers() []*x509.Certificate {
	if tr.tunnel.ClientAuth != config.ClientAuthRequire {
		return nil
	}
	own := slices.Clone(tr.shown)
	if tr.store != nil {
		own = append(own, tr.store.Server.Leaf)
		tr.read.Write(tr.store.Server.Leaf.RawSubjectPublicKeyInfo)
	}
	return own
}

// endSoon says that cert ends soon, has ended or hasn't begun, and what to do; "" if
// all is well. It is shown all the same: a peer may not mind, or know the time
// better. Our own has renewed itself before the last quarter of its life, unless
// something is wrong.
func (tr *translator) endSoon(cert *x509.Certificate) string {
	left := cert.NotAfter.Sub(tr.now)
	own := tr.store != nil && cert.Equal(tr.store.Server.Leaf)
	if tr.now.Before(cert.NotBefore) {
		remedy := ""
		if own && !tr.now.Before(tr.store.CA.NotBefore) {
			remedy = "; a running service renews it by itself, and so does `tlstunnel cert renew`"
		}
		return fmt.Sprintf("the certificate %q isn't valid before %s, and here it is %s: peers refuse it until then, unless it is this machine's clock that is wrong%s",
			dn.Text(cert.Subject), date.Time(cert.NotBefore), date.Time(tr.now), remedy)
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
	case !cert.NotAfter.Before(tr.store.CA.NotAfter):
		return text + "its CA ends with it, `tlstunnel ca rotate` makes the next one"
	default:
		return text + "it should have renewed itself, `tlstunnel cert renew` does it or says why not"
	}
}

// show makes cert what the tunnel proves its identity with; key is the one in
// the config that a warning is about.
func (tr *translator) show(key string, cert tls.Certificate) []tls.Certificate {
	if text := tr.endSoon(cert.Leaf); text != "" {
		p := tr.warn(key, text)
		if !slices.Contains(tr.expiring, p) {
			tr.expiring = append(tr.expiring, p)
		}
	}
	for _, der := range cert.Certificate {
		tr.read.Write(der)
	}
	tr.shown = append(tr.shown, cert.Leaf)
	return []tls.Certificate{cert}
}
