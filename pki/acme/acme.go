// Package acme gets a tunnel's certificate from a CA that speaks ACME (RFC 8555), such as
// Let's Encrypt: it orders the certificate, renews it at its time, and hands it to the
// handshakes. Several processes, or machines that share the folder, order once for all. It
// doesn't decide who is asked for what: that is in [Settings].
//
//	source := acme.NewSource(settings, listen)
//	config.GetCertificate, config.GetConfigForClient = source.GetCertificate, source.GetConfigForClient
//	source.Start(log)
package acme

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/filerights"
	"tlstunnel/pki"
	"tlstunnel/pki/certfile"
)

// Settings say how a certificate is got from a CA that speaks ACME (RFC 8555). To
// ask for one is to agree to the CA's terms of service.
type Settings struct {
	Dir     string // the folder of the PKI; the files are in acme/ there
	KeyType string // one of [KeyTypes]

	Directory   string // URL
	DirectoryCA string // a file with the CAs that may vouch for that URL; empty: the system's roots
	Email       string // may be empty
	Domains     []string
	Challenge   string // tls-alpn-01, http-01

	// EABKid and EABKeyFile, the key in base64url, bind the account to a customer
	// of the CA. Both may be empty.
	EABKid, EABKeyFile string
}

// maxClockSkew is how far our clock may be off that of a CA: Let's Encrypt dates
// its certificates back by as much.
const maxClockSkew = time.Hour

// CertFile is the file of the certificate with its chain and its private key. Who
// asks the same CA for the same names has the same file: several machines share
// the folder that way.
func (a Settings) CertFile() string {
	domains := slices.Sorted(slices.Values(a.Domains))
	return a.file(a.Domains[0], ".pem", append(domains, a.Directory)...)
}

// accountFile is the file of the account's private key.
func (a Settings) accountFile() string {
	host := "ca"
	if u, err := url.Parse(a.Directory); err == nil {
		host = u.Hostname()
	}
	return a.file("account-"+host, ".key", a.Directory, a.Email, a.EABKid)
}

// file is named for people, and told apart by what else it depends on.
func (a Settings) file(name, extension string, on ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(on, "\n")))
	name = strings.ReplaceAll(name, ":", "_") // an IPv6 address, on Windows
	return filepath.Join(pki.ACMEDir(a.Dir), fmt.Sprintf("%s-%x%s", name, sum[:4], extension))
}

// Load reads the certificate that was got last. The error wraps [fs.ErrNotExist]
// when there is none yet. One that has expired is an error.
func (a Settings) Load(now time.Time) (tls.Certificate, error) {
	file := a.CertFile()
	pair, err := certfile.LoadKeyPair(file, "", "")
	if err != nil {
		return tls.Certificate{}, err
	}
	// The CA's clock may be before ours.
	if now.Before(pair.Leaf.NotBefore) && pair.Leaf.NotBefore.Sub(now) < maxClockSkew {
		now = pair.Leaf.NotBefore
	}
	return pair, certfile.CheckValidity(file, pair.Leaf, now, "a new one is ordered by itself")
}

// Renew makes sure that there is a certificate in [Settings.CertFile] that isn't due,
// and returns it. Several processes may call it at once: one asks the CA, the
// others wait for it, as long as ctx lets them, and take the file. Due tells
// whether a certificate is to be replaced. Answer is for http-01; what to answer
// with tls-alpn-01 is known by [Settings.LoadChallenge].
//
// An error of the CA, or on the way to it, is an [*Error]. The certificate
// that is there is never worse off for it.
func (a Settings) Renew(ctx context.Context, now func() time.Time, due func(tls.Certificate) bool, answer HTTPAnswerer) (tls.Certificate, error) {
	dir := pki.ACMEDir(a.Dir)
	if err := atomicfile.MkdirAll(dir, atomicfile.Secret); err != nil {
		return tls.Certificate{}, err
	}
	unlock, err := pki.Lock(ctx, dir)
	if err != nil {
		return tls.Certificate{}, err
	}
	defer unlock()
	if err := removeOrderLeftovers(dir); err != nil {
		return tls.Certificate{}, err
	}
	if cert, err := a.Load(now()); err == nil && !due(cert) {
		return cert, nil // another process was faster
	}
	o, err := a.newOrdering(now, answer)
	if err != nil {
		return tls.Certificate{}, err
	}
	data, err := o.order(ctx)
	if err != nil {
		return tls.Certificate{}, o.explain(err)
	}
	if err := atomicfile.Replace(a.CertFile(), data, atomicfile.Secret); err != nil {
		return tls.Certificate{}, err
	}
	return a.Load(now())
}

// LoadChallenge reads the certificate that is to be shown to a CA that asks for
// domain with the application protocol "acme-tls/1" (RFC 8737). The error wraps
// [fs.ErrNotExist] when no CA should. It is a file so that of several machines
// that share the folder any may be asked.
func (a Settings) LoadChallenge(domain string) (tls.Certificate, error) {
	domain = strings.ToLower(domain)
	if !slices.Contains(a.Domains, domain) {
		return tls.Certificate{}, fmt.Errorf("%q isn't one of the domains: %w", domain, fs.ErrNotExist)
	}
	file := a.challengeFile(domain)
	return certfile.LoadKeyPair(file, "", "")
}

const challengeExt = ".challenge"

func (a Settings) challengeFile(domain string) string {
	return a.file(domain, challengeExt, a.Directory)
}

// removeOrderLeftovers is for what killed processes left: temporary files, which may
// hold keys, and answers that no CA waits for. The caller holds the lock that every
// order takes.
func removeOrderLeftovers(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		if filepath.Ext(name) == challengeExt || strings.HasPrefix(name, ".") && filepath.Ext(name) == ".tmp" {
			if err := filerights.AsOwner(dir, func() error { return os.Remove(filepath.Join(dir, name)) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckEAB says what is wrong with the file of the external account binding.
func (a Settings) CheckEAB() error {
	if a.EABKeyFile == "" {
		return nil
	}
	_, err := a.readEABKey()
	return err
}

// readEABKey reads the key of the external account binding, as CAs give it out.
func (a Settings) readEABKey() ([]byte, error) {
	data, err := certfile.ReadSecret("eab_key_file", a.EABKeyFile, maxEABKey)
	if err != nil {
		return nil, err
	}
	text := strings.TrimRight(strings.TrimSpace(string(data)), "=")
	key, err := base64.RawURLEncoding.DecodeString(strings.NewReplacer("+", "-", "/", "_").Replace(text))
	if err != nil || len(key) == 0 {
		return nil, fmt.Errorf("eab_key_file %q doesn't hold a key in base64: put there nothing but the HMAC key that the CA gave you", a.EABKeyFile)
	}
	return key, nil
}

const maxEABKey = 1 << 20 // bytes; they have 32 to 64
