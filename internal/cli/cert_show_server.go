package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/diagnose"
	"tlstunnel/internal/quote"
	"tlstunnel/pki"
	"tlstunnel/pki/certfile"
)

// serverQuery says which server to ask for its certificates, and how.
type serverQuery struct {
	address    string
	ca         string // a file, or ""
	serverName string // "": the host of the address
	timeout    time.Duration
}

// shownServer is what a handshake shows of a server apart from its certificates.
type shownServer struct {
	TLS        string       `json:"tls"`
	ServerName string       `json:"server_name"`
	ClientAuth bool         `json:"asks_for_client_certificate"`
	Trust      []shownTrust `json:"trust"`
}

// shownTrust says whether a client accepts the certificate if it trusts what By names.
type shownTrust struct {
	By      string `json:"by"`
	Trusted bool   `json:"trusted"`
	Why     string `json:"why,omitempty"` // why the client refuses it; "" if Trusted
}

func (a *app) showServer(ctx context.Context, q serverQuery) error {
	host, _, _ := net.SplitHostPort(q.address)
	if q.serverName == "" {
		q.serverName = host
	}
	var fileCAs []*x509.Certificate
	if q.ca != "" {
		var err error
		if fileCAs, err = certfile.LoadCertificates(q.ca); err != nil {
			return err
		}
	}
	server, certs, err := q.ask(ctx)
	if err != nil {
		return err
	}
	judge := func(by string, roots *x509.CertPool, trusted []*x509.Certificate) {
		why := certfile.WhyUntrusted(certs, roots, trusted, q.serverName, time.Now())
		trust := shownTrust{By: by, Trusted: why == nil}
		if why != nil {
			trust.Why = why.Error()
		}
		server.Trust = append(server.Trust, trust)
	}
	judge("the CAs of this system", nil, nil)
	if own := a.readableOwnCAs(); own != nil {
		judge("our own CA", poolOf(own), own)
	}
	if q.ca != "" {
		judge(q.ca, poolOf(fileCAs), fileCAs)
	}
	return a.showCertificates(q.address, certs, server)
}

// readableOwnCAs returns our own CA, if there is one. The config may be missing.
func (a *app) readableOwnCAs() []*x509.Certificate {
	dir := config.DefaultPaths().PKI
	if cfg, _, _ := a.loadConfig(); cfg != nil {
		dir = cfg.PKI.Dir
	}
	cas, _ := certfile.LoadCertificates(pki.CACert(dir))
	return cas
}

func poolOf(certs []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, cert := range certs {
		pool.AddCert(cert)
	}
	return pool
}

// ask makes a handshake and accepts any certificate. It only shows the certificate and sends no
// data. If the server requires a client certificate, the handshake fails, but after the server's
// certificates have come.
func (q serverQuery) ask(ctx context.Context) (*shownServer, []*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", q.address)
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to %q: %s", q.address, whyNot(diagnose.Dial(diagnose.Server, q.timeout.String(), err), err))
	}
	defer conn.Close()
	server := &shownServer{ServerName: q.serverName}
	var certs []*x509.Certificate
	config := &tls.Config{
		ServerName:         q.serverName,
		MinVersion:         tls.VersionTLS10,
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			certs, server.TLS = state.PeerCertificates, tls.VersionName(state.Version)
			return nil
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			server.ClientAuth = true
			return new(tls.Certificate), nil
		},
	}
	if err := tls.Client(conn, config).HandshakeContext(ctx); err != nil && certs == nil {
		known := diagnose.Handshake{Side: diagnose.Server, Config: config, Limit: q.timeout.String()}
		return nil, nil, fmt.Errorf("asking %q for its certificate: %s", q.address, whyNot(known.Explain(err), err))
	}
	return server, certs, nil
}

// whyNot says why there is no certificate, first in our words, then in those of the system.
func whyNot(why diagnose.Diagnosis, err error) string {
	text := strings.ReplaceAll(why.String(), "server_name", "--server-name")
	return fmt.Sprintf("%s (%v)", text, err)
}

func (s *shownServer) writeText(w io.Writer) error {
	var b strings.Builder
	wants := "no"
	if s.ClientAuth {
		wants = "yes"
	}
	fmt.Fprintf(&b, "\n%-16s %s, as %s\n%-16s %s\n", "TLS:", s.TLS, quote.Text(s.ServerName), "asks for yours:", wants)
	for _, t := range s.Trust {
		if t.Trusted {
			fmt.Fprintf(&b, "%-16s by %s\n", "trusted:", quote.Text(t.By))
		} else {
			fmt.Fprintf(&b, "%-16s by %s: %s\n", "not trusted:", quote.Text(t.By), quote.Text(t.Why))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
