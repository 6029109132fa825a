package pki

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/youmark/pkcs8"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/chain"
	"tlstunnel/internal/dn"
	"tlstunnel/internal/testkit"
	"tlstunnel/pki/certfile"
)

// company is a root and an intermediate CA.
type company struct {
	dir                string
	root, middle, leaf *x509.Certificate
	rootKey, middleKey crypto.Signer
}

func newCompany(t *testing.T) *company {
	c := &company{dir: t.TempDir()}
	c.root, c.rootKey = c.issue(t, "root", func(cert *x509.Certificate) { cert.IsCA = true })
	c.middle, c.middleKey = c.issue(t, "middle", func(cert *x509.Certificate) { cert.IsCA = true })
	c.leaf, _ = c.issue(t, "leaf", func(*x509.Certificate) {})
	return c
}

// issue signs with the intermediate CA, or with the root if there is no other.
func (c *company) issue(t *testing.T, name string, change func(*x509.Certificate)) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key := testkit.NewKey()
	return c.issueFor(t, name, key, change), key
}

func (c *company) issueFor(t *testing.T, name string, key crypto.Signer, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name + ".example"}, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
	}
	change(template)
	var by *testkit.Cert
	switch {
	case c.middle != nil:
		by = &testkit.Cert{Certificate: c.middle, Key: c.middleKey}
	case c.root != nil:
		by = &testkit.Cert{Certificate: c.root, Key: c.rootKey}
	}
	made := testkit.Sign(template, key, by)
	writeFile(t, filepath.Join(c.dir, name+".key"), made.KeyPEM())
	writeFile(t, filepath.Join(c.dir, name+".crt"), made.PEM())
	return made.Certificate
}

// encryptKey encrypts a key's file, and returns the path of the file with the password.
func (c *company) encryptKey(t *testing.T, name string) (passwordFile string) {
	t.Helper()
	file := filepath.Join(c.dir, name)
	keys, err := certfile.ReadKeys(file, "")
	if err != nil {
		t.Fatal(err)
	}
	der, err := pkcs8.MarshalPrivateKey(keys[0], []byte("tomato"), nil)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, asPEM("ENCRYPTED PRIVATE KEY", der))
	return writeFile(t, filepath.Join(c.dir, "password"), []byte("tomato\n"))
}

func (c *company) place() Place {
	return Place{CertFile: filepath.Join(c.dir, "tunnel.crt"), KeyFile: filepath.Join(c.dir, "tunnel.key")}
}

func (c *company) prepare(certs ...*x509.Certificate) (*Installation, error) {
	file := filepath.Join(c.dir, "bundle.pem")
	if err := os.WriteFile(file, certfile.EncodeCertificates(certs...), 0o600); err != nil {
		return nil, err
	}
	return PrepareInstall(Source{File: file, KeyFile: filepath.Join(c.dir, "leaf.key")}, c.place(), now)
}

// Install puts a chain into order, and says what is missing or too much.
func TestInstallOrder(t *testing.T) {
	c := newCompany(t)
	stranger := newCompany(t).root
	const missing = `the chain ends with "CN=%s", and its issuer "CN=%s" isn't in it: `
	for _, test := range []struct {
		certs, want []*x509.Certificate
		note        string
	}{
		{[]*x509.Certificate{c.leaf, c.middle, c.root}, []*x509.Certificate{c.leaf, c.middle, c.root}, ""},
		{[]*x509.Certificate{c.root, c.middle, c.leaf}, []*x509.Certificate{c.leaf, c.middle, c.root}, ""},
		{[]*x509.Certificate{c.middle, c.leaf, c.root, c.leaf}, []*x509.Certificate{c.leaf, c.middle, c.root}, ""},
		{[]*x509.Certificate{c.middle, c.leaf}, []*x509.Certificate{c.leaf, c.middle}, fmt.Sprintf(missing, "middle", "root")},
		{[]*x509.Certificate{c.leaf}, []*x509.Certificate{c.leaf}, fmt.Sprintf(missing, "leaf", "middle")},
		{[]*x509.Certificate{stranger, c.leaf, c.middle, c.root}, []*x509.Certificate{c.leaf, c.middle, c.root}, `the certificate "CN=root" isn't part of the chain, and is left out`},
	} {
		in, err := c.prepare(test.certs...)
		if err != nil {
			t.Error(err)
			continue
		}
		if !slices.EqualFunc(in.Chain, test.want, (*x509.Certificate).Equal) {
			t.Errorf("got a chain of %d in another order", len(in.Chain))
		}
		if notes := strings.Join(in.Notes, "\n"); !strings.HasPrefix(notes, test.note) || test.note == "" && notes != "" {
			t.Errorf("got note %q, want %q", notes, test.note)
		}
	}
}

func TestInstallErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*x509.Certificate)
		want   string
	}{
		{"expired", func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) },
			`certificate "DIR/leaf.crt" expired on 2026-11-23 07:39:00 +00:00: ask its CA for a new one`},
		{"future", func(c *x509.Certificate) { c.NotBefore = now.Add(time.Hour) },
			`certificate "DIR/leaf.crt" isn't valid before 2026-11-23 08:40:00 +00:00, and the clock says 2026-11-23 07:40:00 +00:00: check the clock of this machine; if it is right, ask its CA for a new one`},
		{"ca", func(c *x509.Certificate) { c.IsCA = true },
			`certificate "DIR/leaf.crt" is that of a CA, and isn't for a tunnel: install one that the CA has issued, or name it as ca or client_ca`},
		{"client", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} },
			`the chain in "DIR/leaf.crt" can't be used: "CN=leaf" isn't meant for TLS servers, but for TLS client (extended key usage): have one issued with the extended usage "TLS server"`},
		{"no name", func(c *x509.Certificate) { c.DNSNames = nil },
			`certificate "DIR/leaf.crt" has no DNS name or IP address (SAN), without which no client accepts it: ask its CA for one with the names that clients connect to`},
	} {
		c := newCompany(t)
		c.issue(t, "leaf", test.change)
		_, err := PrepareInstall(Source{File: filepath.Join(c.dir, "leaf.crt")}, c.place(), now)
		if got := outcome(c.dir, nil, err); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.name, got, test.want)
		}
	}

	c := newCompany(t)
	c.middle = nil // so that the root signs it
	c.middle, c.middleKey = c.issue(t, "middle", func(ca *x509.Certificate) { ca.IsCA, ca.NotAfter = true, now.Add(-time.Minute) })
	c.leaf, _ = c.issue(t, "leaf", func(*x509.Certificate) {})
	_, err := c.prepare(c.leaf, c.middle)
	want := `the chain in "DIR/bundle.pem" can't be used: "CN=middle" expired on 2026-11-23 07:39:00 +00:00: get the present chain from the CA`
	if got := outcome(c.dir, nil, err); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	c.issueFor(t, "weak", testkit.RSAKey(1024), func(*x509.Certificate) {})
	_, err = PrepareInstall(Source{File: filepath.Join(c.dir, "weak.crt")}, c.place(), now)
	want = `certificate "DIR/weak.crt" has a weak key, RSA with 1024 bits: one with at least 2048 is needed`
	if got := outcome(c.dir, nil, err); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// If the key beside the certificate can't be read, the error says so, unless the place has a
// key.
func TestInstallUnreadableKey(t *testing.T) {
	c := newCompany(t)
	key := readFile(t, filepath.Join(c.dir, "leaf.key"))
	c.encryptKey(t, "leaf.key")
	source := Source{File: filepath.Join(c.dir, "leaf.crt")}
	_, err := PrepareInstall(source, c.place(), now)
	if got, want := outcome(c.dir, nil, err), `key "DIR/leaf.key" is encrypted: write its password into a file`; !strings.HasPrefix(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	writeFile(t, c.place().KeyFile, key)
	if _, err := PrepareInstall(source, c.place(), now); err != nil {
		t.Error(err)
	}
}

// A certificate whose signer isn't a CA is refused.
func TestInstallFalseSigner(t *testing.T) {
	c := newCompany(t)
	c.middle, c.middleKey = c.issue(t, "middle", func(*x509.Certificate) {})
	c.leaf, _ = c.issue(t, "leaf", func(*x509.Certificate) {})
	_, err := c.prepare(c.leaf, c.middle)
	want := `the certificate "CN=leaf" is signed by "CN=middle", which isn't a CA (CA:FALSE), so that no peer accepts it: get one from a CA`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}

	// A self-signed certificate that was renewed with the same key has no other signer.
	var renewed []*x509.Certificate
	for range 2 {
		template := &x509.Certificate{Subject: pkix.Name{CommonName: "self"}}
		renewed = append(renewed, testkit.Sign(template, c.rootKey, nil).Certificate)
	}
	if err := chain.FalseSigner(renewed); err != nil {
		t.Error(err)
	}
}

func TestCheckCAs(t *testing.T) {
	c := newCompany(t)
	expired, _ := c.issue(t, "expired", func(cert *x509.Certificate) { cert.NotAfter = now.Add(-time.Minute) })
	future, _ := c.issue(t, "future", func(cert *x509.Certificate) { cert.NotBefore = now.Add(time.Hour) })
	weak := &x509.Certificate{NotAfter: now.Add(time.Hour), PublicKey: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 3}}
	for _, test := range []struct {
		cas  []*x509.Certificate
		want string
	}{
		{[]*x509.Certificate{expired, c.root}, "<nil>"},
		{[]*x509.Certificate{expired, future}, `certificate "ca.crt" expired on 2026-11-23 07:39:00 +00:00: get the present one from the CA, or remove this one`},
		{[]*x509.Certificate{future}, `certificate "ca.crt" isn't valid before 2026-11-23 08:40:00 +00:00, and the clock says 2026-11-23 07:40:00 +00:00: check the clock of this machine; if it is right, get the present one from the CA, or remove this one`},
		{[]*x509.Certificate{weak}, `certificate "ca.crt" has a weak key, RSA with 1024 bits: one with at least 2048 is needed`},
	} {
		if got := fmt.Sprint(certfile.CheckCAs("ca.crt", test.cas, now)); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

// At every moment there is a certificate in the place that fits its key.
func TestInstallIsAtomic(t *testing.T) {
	c := newCompany(t)
	place := c.place()
	in, err := c.prepare(c.leaf)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Install(t.Context(), c.dir); err != nil {
		t.Fatal(err)
	}
	next, _ := c.issue(t, "leaf", func(*x509.Certificate) {})
	if in, err = c.prepare(next, c.middle); err != nil {
		t.Fatal(err)
	}
	seen := map[bool]int{}
	atomicfile.TestOnlyStep = func(step string) {
		pair, err := certfile.LoadKeyPair(place.CertFile, place.KeyFile, "")
		if err != nil {
			t.Errorf("at %q: %v", step, err)
			return
		}
		seen[pair.Leaf.Equal(next)]++
	}
	defer func() { atomicfile.TestOnlyStep = func(string) {} }()
	if _, err := in.Install(t.Context(), c.dir); err != nil {
		t.Fatal(err)
	}
	if seen[false] == 0 || seen[true] == 0 {
		t.Errorf("old and new pairs seen: %v", seen)
	}
	keys, err := certfile.ReadKeys(place.KeyFile, "")
	if err != nil || len(keys) != 1 {
		t.Errorf("got %d keys at the end, %v", len(keys), err)
	}
}

// installChild installs the leaf that is in the folder.
func installChild(s Settings) error {
	c := company{dir: s.Dir}
	in, err := PrepareInstall(Source{File: filepath.Join(c.dir, "leaf.crt"), KeyFile: filepath.Join(c.dir, "leaf.key")}, c.place(), now)
	if err != nil {
		return err
	}
	_, err = in.Install(context.Background(), c.dir)
	return err
}

// TestKillInstall: after a kill at any step the certificate in the place fits its key. The
// next installation leaves the same files as one without a kill, also if symlinks lead from
// the place to another.
func TestKillInstall(t *testing.T) {
	t.Run("files", func(t *testing.T) { killInstall(t, false) })
	t.Run("symlinks", func(t *testing.T) { killInstall(t, true) })
}

func killInstall(t *testing.T, links bool) {
	for step := 1; ; step++ {
		c := newCompany(t)
		in, err := c.prepare(c.leaf)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Install(t.Context(), c.dir); err != nil {
			t.Fatal(err)
		}
		elsewhere := t.TempDir()
		if place := c.place(); links {
			for _, file := range []string{place.CertFile, place.KeyFile} {
				target := filepath.Join(elsewhere, "their-"+filepath.Base(file))
				if err := os.Rename(file, target); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(target, file); err != nil {
					t.Skip(err) // Windows lets few make one
				}
			}
		}
		next, _ := c.issue(t, "leaf", func(*x509.Certificate) {})
		want := append(fileNames(t, c.dir), fileNames(t, elsewhere)...)
		output, err := startChild(t, c.dir, childDoes+"=install", childKill+"="+strconv.Itoa(step))()
		if err == nil {
			if step < 8 { // three files, each made, synced and renamed
				t.Errorf("only %d steps", step)
			}
			return
		}
		name := fmt.Sprintf("killed at step %d, %q", step, output[len(output)-1])
		if _, err := certfile.LoadKeyPair(c.place().CertFile, c.place().KeyFile, ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if output, err := startChild(t, c.dir, childDoes+"=install")(); err != nil {
			t.Fatalf("%s: the next one: %v: %q", name, err, output)
		}
		pair, err := certfile.LoadKeyPair(c.place().CertFile, c.place().KeyFile, "")
		if err != nil || !pair.Leaf.Equal(next) {
			t.Errorf("%s: the next one: got %v, %v", name, pair.Leaf, err)
		}
		if got := append(fileNames(t, c.dir), fileNames(t, elsewhere)...); !slices.Equal(got, want) {
			t.Errorf("%s: got files %q, want %q", name, got, want)
		}
	}
}

// TestKillExport: after a kill, a file with the CA's certificate is complete or isn't there.
// The next export completes the rest.
func TestKillExport(t *testing.T) {
	killEach(t, "export", prepareFirstRun, func(t *testing.T, dir string) {
		ca, out := open(t, dir).CA, filepath.Dir(dir)
		for _, file := range []string{"ca.crt", "ca.der"} {
			path := filepath.Join(out, file)
			if _, err := os.Lstat(path); err != nil {
				continue
			}
			if certs, err := certfile.LoadCertificates(path); err != nil || !certs[0].Equal(ca) {
				t.Errorf("%q: %v", file, err)
			}
		}
		if _, err := ExportCA(ca, nil, out); err != nil {
			t.Error(err)
		}
	})
}

// Install doesn't replace an encrypted key by a plain one.
func TestInstallKeepsEncryption(t *testing.T) {
	old, c := newCompany(t), newCompany(t)
	password := old.encryptKey(t, "leaf.key")
	place := Place{CertFile: filepath.Join(old.dir, "t.crt"), KeyFile: filepath.Join(old.dir, "leaf.key"), PasswordFile: password}
	if in, err := PrepareInstall(Source{File: filepath.Join(old.dir, "leaf.crt"), PasswordFile: password}, place, now); err != nil || !in.keepsKey() {
		t.Errorf("the same key: %v", err)
	}
	_, err := PrepareInstall(Source{File: filepath.Join(c.dir, "leaf.crt")}, place, now)
	want := `the key in "DIR/leaf.key" is encrypted, and a new one would be written unencrypted: put certificate and key there yourself, or remove key_password_file first`
	if got := outcome(old.dir, nil, err); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWhyUntrusted(t *testing.T) {
	c := newCompany(t)
	trusted := x509.NewCertPool()
	trusted.AddCert(c.root)
	for _, test := range []struct {
		chain []*x509.Certificate
		roots *x509.CertPool
		name  string
		want  string
	}{
		{[]*x509.Certificate{c.leaf, c.middle}, trusted, "leaf.example", ""},
		{[]*x509.Certificate{c.leaf, c.middle}, trusted, "other.example", `it isn't for "other.example", but for "leaf.example": connect by one of these names, or name it as server_name`},
		{[]*x509.Certificate{c.leaf}, trusted, "leaf.example", `the certificate of "CN=middle", which issued "CN=leaf", wasn't sent and isn't trusted here (key id ` + fmt.Sprintf("%x", c.middle.SubjectKeyId) + `); if that is a CA between it and one that is trusted, the server's administrator adds it to the file of its certificate; else, if you trust it, add its certificate to ca`},
		{[]*x509.Certificate{c.leaf, c.middle, c.root}, x509.NewCertPool(), "leaf.example", `the CA "CN=root" (SHA-256 ` + dn.Fingerprint(c.root) + `) isn't trusted here; if you trust it, add its certificate to ca`},
		{[]*x509.Certificate{c.root}, x509.NewCertPool(), "root.example", `the self-signed certificate "CN=root" (SHA-256 ` + dn.Fingerprint(c.root) + `) isn't trusted here; if you trust it, add its certificate to ca`},
	} {
		err := certfile.WhyUntrusted(test.chain, test.roots, nil, test.name, now)
		if got := outcome(c.dir, nil, err); got != test.want && !(test.want == "" && err == nil) {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
	change := func(change func(*x509.Certificate)) []*x509.Certificate {
		leaf, _ := c.issue(t, "leaf", change)
		return []*x509.Certificate{leaf, c.middle}
	}
	old := newCompany(t)
	old.middle = nil
	old.middle, old.middleKey = old.issue(t, "middle", func(ca *x509.Certificate) { ca.IsCA, ca.NotAfter = true, now.Add(-time.Minute) })
	old.leaf, _ = old.issue(t, "leaf", func(*x509.Certificate) {})
	trusted.AddCert(old.root)
	for want, certs := range map[string][]*x509.Certificate{
		`it has no names (SANs) at all, and so isn't for "leaf.example": a new one with that name is needed`:                                                                                                                                 change(func(leaf *x509.Certificate) { leaf.DNSNames = nil }),
		`"CN=leaf" isn't meant for TLS servers, but for TLS client (extended key usage): have one issued with the extended usage "TLS server"`:                                                                                               change(func(leaf *x509.Certificate) { leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }),
		`"CN=middle" is valid from 2026-11-23 06:40:00 +00:00 to 2026-11-23 07:39:00 +00:00, and here it is 2026-11-23 07:40:00 +00:00: the server's administrator puts the present certificate of that CA into the file of its certificate`: {old.leaf, old.middle},
		`its chain can't be verified: x509: unhandled critical extension`: change(func(leaf *x509.Certificate) {
			leaf.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}),
	} {
		if got := outcome(c.dir, nil, certfile.WhyUntrusted(certs, trusted, nil, "leaf.example", now)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if err := certfile.WhyUntrusted([]*x509.Certificate{c.leaf, c.middle}, trusted, nil, "leaf.example", now.AddDate(2, 0, 0)); err == nil || !strings.Contains(err.Error(), "renew it") {
		t.Errorf("expired: %v", err)
	}
}
