package pki

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/chain"
	"tlstunnel/internal/dn"
	"tlstunnel/internal/quote"
	"tlstunnel/internal/strength"
	"tlstunnel/pki/certfile"
)

// Place is where a tunnel has its certificate and key, as for [certfile.LoadKeyPair].
type Place struct {
	CertFile, KeyFile, PasswordFile string
	Client                          bool // it is shown to servers, not to clients
}

// Source is the certificate that a CA has sent, with or without its chain, and the file with its
// key. An empty KeyFile means that the key is in File, in the file that `csr new` made beside
// it (.key), or in the place already.
type Source struct {
	File, KeyFile, PasswordFile string
}

// Installation is a checked pair that can be put into its place.
type Installation struct {
	Chain []*x509.Certificate // in order, the leaf first

	// Notes say what to know, though it is no reason to refuse the pair.
	Notes []string

	place   Place
	key     crypto.Signer
	present []crypto.Signer // the keys that are in the place
}

// PrepareInstall reads a source, puts its certificates into order, and checks that the place can
// use them at the time now. It writes nothing.
func PrepareInstall(source Source, place Place, now time.Time) (*Installation, error) {
	certs, err := certfile.ReadCertificates(source.File, source.PasswordFile)
	if err != nil {
		return nil, err
	}
	in := &Installation{place: place}
	in.present, err = certfile.ReadKeys(place.KeyFile, place.PasswordFile)
	if _, statErr := os.Stat(place.KeyFile); err != nil && statErr == nil {
		return nil, fmt.Errorf("the tunnel's present key can't be read: %w", err)
	}
	leaf, err := in.findKey(source, certs)
	if err != nil {
		return nil, err
	}
	if chain.IsCA(certs[leaf]) {
		return nil, fmt.Errorf("certificate %q is that of a CA, and isn't for a tunnel: install one that the CA has issued, or name it as ca or client_ca", source.File)
	}
	if err := chain.FalseSigner(certs); err != nil {
		return nil, err
	}
	ordered, others := chain.Order(certs, leaf)
	in.Chain = ordered
	if err := in.check(source.File, now); err != nil {
		return nil, err
	}
	for _, other := range others {
		in.note("the certificate %q isn't part of the chain, and is left out", dn.Text(other.Subject))
	}
	if !in.keepsKey() && place.PasswordFile != "" {
		return nil, fmt.Errorf("the key in %q is encrypted, and a new one would be written unencrypted: put certificate and key there yourself, or remove key_password_file first", place.KeyFile)
	}
	return in, nil
}

func (in *Installation) note(format string, args ...any) {
	in.Notes = append(in.Notes, fmt.Sprintf(format, args...))
}

// findKey looks for the key of one of the certs, and returns its index.
func (in *Installation) findKey(source Source, certs []*x509.Certificate) (leaf int, err error) {
	if source.KeyFile != "" {
		keys, err := certfile.ReadKeys(source.KeyFile, source.PasswordFile)
		if err != nil {
			return 0, err
		}
		if leaf, in.key = certfile.MatchKey(certs, keys); leaf < 0 {
			return 0, fmt.Errorf("key %q doesn't belong to certificate %q: they have different public keys: take the key that the request for this certificate was made with", source.KeyFile, source.File)
		}
		return leaf, nil
	}
	var unreadable error
	beside := strings.TrimSuffix(source.File, filepath.Ext(source.File)) + ".key"
	for _, file := range []string{source.File, beside} {
		keys, err := certfile.ReadKeys(file, source.PasswordFile)
		if _, statErr := os.Stat(beside); file == beside && statErr == nil {
			unreadable = err
		}
		if leaf, in.key = certfile.MatchKey(certs, keys); leaf >= 0 {
			return leaf, nil
		}
	}
	if leaf, in.key = certfile.MatchKey(certs, in.present); leaf >= 0 {
		return leaf, nil
	}
	if unreadable != nil {
		return 0, unreadable
	}
	return 0, fmt.Errorf("the key of certificate %q isn't in that file, nor in %q, nor in %q: name its file with --key", source.File, beside, in.place.KeyFile)
}

func (in *Installation) check(file string, now time.Time) error {
	leaf := in.Chain[0]
	if err := errors.Join(certfile.CheckStrength(file, leaf), certfile.CheckValidity(file, leaf, now, "ask its CA for a new one")); err != nil {
		return err
	}
	own := chain.Own{Chain: in.Chain, Usage: certfile.UsageOf(in.place.Client), Now: now}
	for _, fault := range own.Faults() {
		return fmt.Errorf("the chain in %q can't be used: %w", file, fault)
	}
	if !in.place.Client && len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
		return fmt.Errorf("certificate %q has no DNS name or IP address (SAN), without which no client accepts it: ask its CA for one with the names that clients connect to", file)
	}
	for _, ca := range in.Chain[1:] {
		if err := strength.Check(ca.PublicKey); err != nil && !chain.SelfSigned(ca) { // nobody looks at the key of a root that is sent
			return fmt.Errorf("the chain in %q can't be used: %q has %w", file, dn.Text(ca.Subject), err)
		}
	}
	if missing := own.Missing(); missing != nil {
		in.note("%v; add it to the file and install that", missing)
	}
	in.noteLostNames()
	return nil
}

// noteLostNames notes the names of the present certificate that the new one lacks.
func (in *Installation) noteLostNames() {
	present, err := certfile.ReadCertificates(in.place.CertFile, in.place.PasswordFile)
	if err != nil || in.place.Client {
		return
	}
	names := certfile.SANs(in.Chain[0])
	lost := slices.DeleteFunc(certfile.SANs(present[0]), func(name string) bool { return slices.Contains(names, name) })
	if len(lost) > 0 {
		in.note("the present certificate is also for %s, the new one isn't: clients that connect by that will refuse it", quote.List(lost))
	}
}

func (in *Installation) keepsKey() bool {
	_, key := certfile.MatchKey(in.Chain[:1], in.present)
	return key != nil
}

// Install puts the pair into its place and returns the files that it wrote. At each moment, also
// after a kill, the files hold a certificate and its key: while the certificate is replaced,
// the key's file has the new key and the old one. Processes with the same lockDir install one
// after the other.
func (in *Installation) Install(ctx context.Context, lockDir string) (files []string, err error) {
	place := in.place
	if _, err := os.Stat(lockDir); err != nil {
		lockDir = filepath.Dir(place.KeyFile)
	}
	unlock, err := Lock(ctx, lockDir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeLeftoversOf(place.CertFile, place.KeyFile); err != nil {
		return nil, err
	}
	certs := certfile.EncodeCertificates(in.Chain...)
	if in.keepsKey() && place.CertFile != place.KeyFile {
		return []string{place.CertFile}, atomicfile.Replace(place.CertFile, certs, atomicfile.Public)
	}
	key, err := certfile.EncodeKey(in.key)
	if err != nil {
		return nil, err
	}
	access := keyAccess(place.KeyFile)
	if place.CertFile == place.KeyFile {
		return []string{place.CertFile}, atomicfile.Replace(place.CertFile, append(key, certs...), access)
	}
	both := slices.Clone(key)
	for _, old := range in.present {
		data, err := certfile.EncodeKey(old)
		if err != nil {
			return nil, err
		}
		both = append(both, data...)
	}
	if err := atomicfile.Replace(place.KeyFile, both, access); err != nil {
		return nil, err
	}
	if err := atomicfile.Replace(place.CertFile, certs, atomicfile.Public); err != nil {
		return nil, err
	}
	return []string{place.CertFile, place.KeyFile}, atomicfile.Replace(place.KeyFile, key, access)
}
