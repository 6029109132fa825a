package acme

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	protocol "golang.org/x/crypto/acme"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/chain"
	"tlstunnel/internal/date"
	"tlstunnel/internal/dn"
	"tlstunnel/internal/filerights"
	"tlstunnel/pki"
	"tlstunnel/pki/certfile"
)

// HTTPAnswerer serves body at path, by HTTP at port 80, until undo is called.
type HTTPAnswerer func(path, body string) (undo func(), err error)

// ordering is one order at a CA.
type ordering struct {
	Settings
	now    func() time.Time
	answer HTTPAnswerer
	client *protocol.Client
	clocks *clocks
	domain string // whose challenge is under way
}

func (a Settings) newOrdering(now func() time.Time, answer HTTPAnswerer) (*ordering, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, Time: now}
	if a.DirectoryCA != "" {
		certs, err := certfile.LoadCertificates(a.DirectoryCA)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		for _, cert := range certs {
			config.RootCAs.AddCert(cert)
		}
	}
	key, err := a.accountKey()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() // through a proxy, if the environment has one
	transport.TLSClientConfig, transport.DisableKeepAlives = config, true
	transport.MaxResponseHeaderBytes = maxACMEHeaders
	clocks := &clocks{RoundTripper: wary{transport}, now: now}
	return &ordering{Settings: a, now: now, answer: answer, clocks: clocks, client: &protocol.Client{
		Key:          key,
		DirectoryURL: a.Directory,
		HTTPClient:   &http.Client{Transport: clocks, Timeout: 30 * time.Second},
		UserAgent:    "tlstunnel",
		RetryBackoff: retryBadNonce,
	}}, nil
}

// retryBadNonce retries a request at once after a bad nonce, as CAs expect (RFC 8555, section
// 6.5), and after a page that isn't ready. It retries nothing else: the caller, which counts
// the failures, decides that.
func retryBadNonce(n int, _ *http.Request, resp *http.Response) time.Duration {
	if n <= 5 && (resp.StatusCode == http.StatusBadRequest || resp.StatusCode < http.StatusMultipleChoices) {
		return time.Duration(n) * 100 * time.Millisecond
	}
	return -1
}

// accountKey is made once, and never sent.
func (a Settings) accountKey() (crypto.Signer, error) {
	file := a.accountFile()
	keys, err := certfile.ReadKeys(file, "")
	if err == nil {
		return keys[0], nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := pki.GenerateKey("ecdsa-p256") // every CA accepts it
	if err != nil {
		return nil, err
	}
	data, err := certfile.EncodeKey(key)
	if err != nil {
		return nil, err
	}
	return key, atomicfile.Create(file, data, atomicfile.Secret)
}

// order gets a new certificate and returns the content of its file.
func (o *ordering) order(ctx context.Context) (data []byte, err error) {
	if _, err := o.client.Discover(ctx); err != nil {
		return nil, err
	}
	if err := o.clocks.check(); err != nil {
		return nil, err
	}
	if err := o.register(ctx); err != nil {
		return nil, err
	}
	order, err := o.client.AuthorizeOrder(ctx, protocol.DomainIDs(o.Domains...))
	if err != nil {
		return nil, err
	}
	for _, url := range order.AuthzURLs {
		if err := o.authorize(ctx, url); err != nil {
			return nil, err
		}
	}
	o.domain = ""
	if order, err = o.client.WaitOrder(ctx, order.URI); err != nil {
		return nil, err
	}
	key, err := pki.GenerateKey(o.keyType())
	if err != nil {
		return nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: o.Domains}, key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate request: %w", err)
	}
	ders, _, err := o.client.CreateCertFromOrder(ctx, order, request, true)
	if err != nil {
		return nil, err
	}
	return o.encode(key, ders)
}

// keyType returns the type of the key. It is ECDSA instead of Ed25519, which no public CA
// accepts.
func (a Settings) keyType() string {
	if a.KeyType == "ed25519" {
		return "ecdsa-p256"
	}
	return a.KeyType
}

// encode checks the new certificate, before it replaces the old one, and encodes it.
func (o *ordering) encode(key crypto.Signer, ders [][]byte) ([]byte, error) {
	var certs []*x509.Certificate
	for _, der := range ders {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("the CA has sent a damaged certificate: %w", err)
		}
		certs = append(certs, cert)
	}
	leaf, _ := certfile.MatchKey(certs, []crypto.Signer{key})
	if leaf < 0 {
		return nil, errors.New("the CA has sent a certificate for another key")
	}
	for _, domain := range o.Domains {
		if err := certs[leaf].VerifyHostname(domain); err != nil {
			return nil, fmt.Errorf("the CA has sent a certificate for other names: %w", err)
		}
	}
	ordered, _ := chain.Order(certs, leaf)
	if len(ordered) == 1 && len(certs) > 1 {
		return nil, fmt.Errorf("the CA has sent a chain that isn't that of the certificate: its issuer is %q, which isn't in it", dn.Text(ordered[0].Issuer))
	}
	if err := checkIssued(ordered, o.now()); err != nil {
		return nil, err
	}
	data, err := certfile.EncodeKey(key)
	return append(data, certfile.EncodeCertificates(ordered...)...), err
}

// checkIssued verifies a chain as a peer does that trusts the CAs in it. It also checks that
// [Settings.Load] will accept it.
func checkIssued(certs []*x509.Certificate, now time.Time) error {
	leaf := certs[0]
	switch name := dn.Text(leaf.Subject); {
	case now.Add(maxClockSkew).Before(leaf.NotBefore):
		return fmt.Errorf("the CA has sent a certificate, %q, that isn't valid before %s", name, date.Time(leaf.NotBefore))
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the CA has sent a certificate, %q, that expired on %s", name, date.Time(leaf.NotAfter))
	case now.Before(leaf.NotBefore):
		now = leaf.NotBefore // the CA's clock is ahead of ours
	}
	const refused = "the CA has sent a chain that nobody accepts: "
	if err := certfile.CheckStrength(dn.Text(leaf.Subject), leaf); err != nil {
		return fmt.Errorf(refused+"%w", err)
	}
	for _, fault := range (chain.Own{Chain: certs, Usage: x509.ExtKeyUsageServerAuth, Now: now}).Faults() {
		return errors.New(refused + fault.What)
	}
	options := x509.VerifyOptions{Roots: x509.NewCertPool(), CurrentTime: now}
	for _, ca := range certs[min(1, len(certs)-1):] {
		options.Roots.AddCert(ca)
	}
	if _, err := leaf.Verify(options); err != nil {
		return fmt.Errorf(refused+"%w", err)
	}
	return nil
}

// register finds our account or makes it.
func (o *ordering) register(ctx context.Context) error {
	account, err := o.client.GetReg(ctx, "")
	if err == nil && account.Status != protocol.StatusValid {
		return errAccount(account.Status)
	}
	if !errors.Is(err, protocol.ErrNoAccount) {
		return err
	}
	account = &protocol.Account{}
	if o.Email != "" {
		account.Contact = []string{"mailto:" + o.Email}
	}
	if o.EABKid != "" {
		key, err := o.readEABKey()
		if err != nil {
			return err
		}
		account.ExternalAccountBinding = &protocol.ExternalAccountBinding{KID: o.EABKid, Key: key}
	}
	_, err = o.client.Register(ctx, account, protocol.AcceptTOS)
	return err
}

// errAccount means that the account can't be used any more.
type errAccount string

func (e errAccount) Error() string { return "the account is " + string(e) }

// authorize proves to the CA that a domain is ours.
func (o *ordering) authorize(ctx context.Context, url string) error {
	authz, err := o.client.GetAuthorization(ctx, url)
	if err != nil || authz.Status == protocol.StatusValid {
		return err
	}
	// The token comes from the CA and becomes a file name, so check it.
	if o.domain = strings.ToLower(authz.Identifier.Value); !slices.Contains(o.Domains, o.domain) {
		return fmt.Errorf("the CA wants a proof for %q, which isn't one of the domains", authz.Identifier.Value)
	}
	for _, challenge := range authz.Challenges {
		if challenge.Type != o.Challenge {
			continue
		}
		undo, err := o.answerTo(challenge)
		if err != nil {
			return err
		}
		defer undo()
		if _, err := o.client.Accept(ctx, challenge); err != nil {
			return err
		}
		_, err = o.client.WaitAuthorization(ctx, cmp.Or(authz.URI, url))
		return err
	}
	return fmt.Errorf("the CA doesn't offer the challenge %q for %q: set another one", o.Challenge, o.domain)
}

func (o *ordering) answerTo(challenge *protocol.Challenge) (undo func(), err error) {
	if o.Challenge == "http-01" {
		body, err := o.client.HTTP01ChallengeResponse(challenge.Token)
		if err != nil {
			return nil, err
		}
		return o.answer(o.client.HTTP01ChallengePath(challenge.Token), body)
	}
	cert, err := o.client.TLSALPN01ChallengeCert(challenge.Token, o.domain)
	if err != nil {
		return nil, err
	}
	key, err := certfile.EncodeKey(cert.PrivateKey.(crypto.Signer))
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil, err
	}
	file := o.challengeFile(o.domain)
	undo = func() { _ = filerights.AsOwner(file, func() error { return os.Remove(file) }) }
	return undo, atomicfile.Replace(file, append(key, certfile.EncodeCertificates(leaf)...), atomicfile.Secret)
}
