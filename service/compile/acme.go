package compile

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"

	"tlstunnel/internal/config"
	"tlstunnel/pki/acme"
	"tlstunnel/pki/certfile"
)

// useACME makes c present the certificate from the tunnel's public CA, and answer that CA's
// challenges. The certificate isn't part of the digest: the same settings present a new one.
func (b *builder) useACME(c *tls.Config) {
	if b.isWrong("acme") {
		return
	}
	t := b.tunnel.ACME
	a := acme.NewSource(ACME(b.cfg, t), func() (net.Listener, error) { return listenForChallenge(t.HTTPListen) })
	b.acme = a
	c.GetCertificate, c.GetConfigForClient = a.GetCertificate, a.GetConfigForClient
	if t.DirectoryCA != "" {
		_, unusable, err := certfile.LoadCAs(t.DirectoryCA)
		if err != nil {
			b.problem("acme.directory_ca", err.Error())
		}
		for _, why := range unusable {
			b.warn("acme.directory_ca", why.Error())
		}
	}
	if err := a.CheckEAB(); err != nil {
		b.problem("acme.eab_key_file", err.Error())
	}
	switch cert, err := a.Read(b.now); {
	case err == nil:
		b.warnOfChain("acme", cert)
	case errors.Is(err, fs.ErrNotExist):
		b.warn("acme", "there is no certificate from the CA yet: tlstunnel orders it when it runs; until the CA issues it, no client can connect")
	default:
		b.warn("acme", err.Error())
	}
}

// ACME returns the settings for the orders that the table acme of a tunnel asks for.
func ACME(cfg *config.Config, t config.ACME) acme.Settings {
	return acme.Settings{
		Dir: cfg.PKI.Dir, KeyType: cfg.PKI.KeyType,
		Directory: t.Directory, DirectoryCA: t.DirectoryCA, Email: t.Email, Domains: t.Domains, Challenge: t.Challenge,
		EABKid: t.EABKid, EABKeyFile: t.EABKeyFile,
	}
}

// listenForChallenge opens the socket at which the CA fetches the answer to an http-01
// challenge.
func listenForChallenge(address string) (net.Listener, error) {
	l, err := net.Listen(config.Network(address), address)
	if err != nil {
		return nil, fmt.Errorf("listening on http_listen %q for the challenge: %w: stop the program that has the port, or set http_listen to another one and have port 80 forwarded to it", address, err)
	}
	return l, nil
}
