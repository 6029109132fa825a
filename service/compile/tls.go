package compile

import (
	"crypto/tls"
	"net"
	"strings"

	"tlstunnel/internal/config"
	"tlstunnel/tunnel"
)

// sessionCacheSize is how many TLS sessions a client tunnel keeps to resume. Each target
// sends a few tickets, and only the newest ones are useful.
const sessionCacheSize = 64

// commonTLS returns the settings that both modes share. Each tls.Config has its own ticket
// keys and session cache, so a session never resumes under newer settings.
func (b *builder) commonTLS() *tls.Config {
	c := &tls.Config{NextProtos: b.tunnel.ALPN}
	tunnel.SetProfile(c, b.tunnel.Profile)
	return c
}

func (b *builder) serverTLS() *tls.Config {
	c := b.commonTLS()
	if b.tunnel.Profile != "legacy" {
		tunnel.SetQuickExchanges(c)
	}
	if b.tunnel.ClientAuth == config.ClientAuthRequire {
		c.ClientAuth = tls.RequireAndVerifyClientCert
		c.ClientCAs = b.caPool("client_ca", b.tunnel.ClientCA)
	}
	if b.tunnel.ACME.Enabled() {
		b.useACME(c)
	} else if b.tunnel.Cert != "" {
		c.Certificates = b.keyPair()
	} else {
		c.Certificates = b.ownServerCert("name")
	}
	return c
}

// clientTLS returns the settings for one target: the name that its certificate must have
// defaults to the target's host.
func (b *builder) clientTLS(address string) *tls.Config {
	c := b.commonTLS()
	c.ServerName = b.tunnel.ServerName
	if c.ServerName == "" {
		host, _, _ := net.SplitHostPort(address)
		c.ServerName = strings.TrimSuffix(host, ".") // the dot keeps DNS from adding search domains; no certificate has it
	}
	if len(b.tunnel.CA) > 0 {
		c.RootCAs = b.caPool("ca", b.tunnel.CA)
	}
	if len(b.tunnel.Pins) > 0 {
		tunnel.Pin(c, b.tunnel.Pins)
	}
	switch b.tunnel.Cert {
	case "":
	case config.Own:
		c.Certificates = b.ownServerCert("cert")
	default:
		c.Certificates = b.keyPair()
	}
	c.ClientSessionCache = tls.NewLRUClientSessionCache(sessionCacheSize)
	return c
}
