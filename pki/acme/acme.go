// Package acme gets a tunnel's certificate from a CA that speaks ACME (RFC 8555), such as
// Let's Encrypt: it orders the certificate, renews it at its time, and hands it to the
// handshakes. Processes, or machines, that share the folder make one order for all. The CA and
// the names come from [Settings].
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

// Settings say how to get a certificate from a CA by ACME (RFC 8555). Whoever orders a
// certificate agrees to the CA's terms of service.
type Settings struct {
	Dir     string // the folder of the PKI; the files are in acme/ there
	KeyType string // one of [KeyTypes]

	Directory   string // URL
	DirectoryCA string // a file with the CAs that may vouch for that URL; empty: the system's roots
	Email       string // may be empty
	Domains     []string
	Challenge   string // tls-alpn-01, http-01

	// EABKid and EABKeyFile (the key in base64url) bind the account to a customer of the CA.
	// Both may be empty.
	EABKid, EABKeyFile string
}

// maxClockSkew is the largest allowed difference between our clock and the CA's. Let's Encrypt
// backdates its certificates by as much.
const maxClockSkew = time.Hour

// CertFile returns the path of the file with the certificate, its chain and its private key.
// The same CA and names give the same path, so several machines can share the folder.
func (a Settings) CertFile() string {
	domains := slices.Sorted(slices.Values(a.Domains))
	return a.file(a.Domains[0], ".pem", append(domains, a.Directory)...)
}

// accountFile returns the path of the account's private key.
func (a Settings) accountFile() string {
	host := "ca"
	if u, err := url.Parse(a.Directory); err == nil {
		host = u.Hostname()
	}
	return a.file("account-"+host, ".key", a.Directory, a.Email, a.EABKid)
}

// file returns a path with a readable name, and a hash of the other settings that tells files
// apart.
func (a Settings) file(name, extension string, on ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(on, "\n")))
	name = strings.ReplaceAll(name, ":", "_") // an IPv6 address, on Windows
	return filepath.Join(pki.ACMEDir(a.Dir), fmt.Sprintf("%s-%x%s", name, sum[:4], extension))
}

// Load reads the certificate that was issued last. The error wraps [fs.ErrNotExist] if there
// is none yet. An expired certificate is an error.
func (a Settings) Load(now time.Time) (tls.Certificate, error) {
	file := a.CertFile()
	pair, err := certfile.LoadKeyPair(file, "", "")
	if err != nil {
		return tls.Certificate{}, err
	}
	// The CA's clock may be ahead of ours.
	if now.Before(pair.Leaf.NotBefore) && pair.Leaf.NotBefore.Sub(now) < maxClockSkew {
		now = pair.Leaf.NotBefore
	}
	return pair, certfile.CheckValidity(file, pair.Leaf, now, "a new one is ordered by itself")
}

// Renew makes sure that [Settings.CertFile] has a certificate that isn't due, and returns it.
// Several processes may call it at once: one asks the CA, the others wait until ctx is done,
// and read the file. due reports whether a certificate must be replaced. answer is for
// http-01. For tls-alpn-01, [Settings.LoadChallenge] has the answer.
//
// An error of the CA, or on the way to it, is an [*Error]. The old certificate stays in the
// file.
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

// LoadChallenge reads the certificate to present if a CA connects for domain with the
// application protocol "acme-tls/1" (RFC 8737). The error wraps [fs.ErrNotExist] if no
// challenge is under way. It is in a file, so that each machine that shares the folder can
// answer.
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

// removeOrderLeftovers removes the files of killed processes: temporary files, which may hold
// keys, and answers to old challenges. The caller holds the lock that every order takes.
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

const maxEABKey = 1 << 20 // bytes; a key has 32 to 64
