package compile

import (
	"crypto/tls"
	"net"
	"strings"

	"tlstunnel/internal/config"
	"tlstunnel/tunnel"
)

// sessionCacheSize is how many TLS sessions a client tunnel keeps to resume:
// each target hands out a few and only the newest ones are of use.
const sessionCacheSize = 64

// commonTLS is what both modes share. Resumption never outlives it: each config
// has ticket keys and a session cache of its own.
func (b *builder) commonTLS() *tls.Config {
	c := &tls.Config{NextProtos: b.tunnel.ALPN}
	tunnel.SetProfile(c, b.tunnel.Profile)
	return c
}

func (b *builder) serverTLS() *tls.Config {
	c := b.commonTLS()
	if b.tunnel.ClientAuth == config.ClientAuthRequire {
		c.ClientAuth = tls.RequireAndVerifyClientCert
		c.ClientCAs = b.pool("client_ca", b.tunnel.ClientCA)
	}
	if b.tunnel.ACME.Enabled() {
		b.getByACME(c)
	} else if b.tunnel.Cert != "" {
		c.Certificates = b.keyPair()
	} else {
		c.Certificates = b.own("name")
	}
	return c
}

// clientTLS is for one target, since the name that its certificate must have
// defaults to the target's host.
func (b *builder) clientTLS(address string) *tls.Config {
	c := b.commonTLS()
	c.ServerName = b.tunnel.ServerName
	if c.ServerName == "" {
		host, _, _ := net.SplitHostPort(address)
		c.ServerName = strings.TrimSuffix(host, ".") // which keeps search domains from it, and is in no certificate
	}
	if len(b.tunnel.CA) > 0 {
		c.RootCAs = b.pool("ca", b.tunnel.CA)
	}
	if len(b.tunnel.Pins) > 0 {
		tunnel.Pin(c, b.tunnel.Pins)
	}
	switch b.tunnel.Cert {
	case "":
	case config.Own:
		c.Certificates = b.own("cert")
	default:
		c.Certificates = b.keyPair()
	}
	c.ClientSessionCache = tls.NewLRUClientSessionCache(sessionCacheSize)
	return c
}
