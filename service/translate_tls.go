package service

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
func (tr *translator) commonTLS() *tls.Config {
	c := &tls.Config{NextProtos: tr.tunnel.ALPN}
	tunnel.SetProfile(c, tr.tunnel.Profile)
	return c
}

func (tr *translator) serverTLS() *tls.Config {
	c := tr.commonTLS()
	if tr.tunnel.ClientAuth == config.ClientAuthRequire {
		c.ClientAuth = tls.RequireAndVerifyClientCert
		c.ClientCAs = tr.pool("client_ca", tr.tunnel.ClientCA)
	}
	if tr.tunnel.ACME.Enabled() {
		tr.getByACME(c)
	} else if tr.tunnel.Cert != "" {
		c.Certificates = tr.keyPair()
	} else {
		c.Certificates = tr.own("name")
	}
	return c
}

// clientTLS is for one target, since the name that its certificate must have
// defaults to the target's host.
func (tr *translator) clientTLS(address string) *tls.Config {
	c := tr.commonTLS()
	c.ServerName = tr.tunnel.ServerName
	if c.ServerName == "" {
		host, _, _ := net.SplitHostPort(address)
		c.ServerName = strings.TrimSuffix(host, ".") // which keeps search domains from it, and is in no certificate
	}
	if len(tr.tunnel.CA) > 0 {
		c.RootCAs = tr.pool("ca", tr.tunnel.CA)
	}
	if len(tr.tunnel.Pins) > 0 {
		tunnel.Pin(c, tr.tunnel.Pins)
	}
	switch tr.tunnel.Cert {
	case "":
	case config.Own:
		c.Certificates = tr.own("cert")
	default:
		c.Certificates = tr.keyPair()
	}
	c.ClientSessionCache = tls.NewLRUClientSessionCache(sessionCacheSize)
	return c
}
