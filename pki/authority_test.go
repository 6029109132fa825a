package pki

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/pki/certfile"
)

func openAuthority(t *testing.T, dir string, now time.Time) *Authority {
	t.Helper()
	a, err := OpenAuthority(t.Context(), dir, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// TestOpenAuthorityAfterRotation replaces the CA while an OpenAuthority waits for the lock.
// The waiting call must not sign with the former CA.
func TestOpenAuthorityAfterRotation(t *testing.T) {
	store, next := ensure(t, nil), ensure(t, nil)
	first := openAuthority(t, store.Dir, now)
	waiting := make(chan struct{})
	atomicfile.TestOnlyStep = func(step string) {
		if step == "lock file opened" {
			close(waiting)
		}
	}
	defer func() { atomicfile.TestOnlyStep = func(string) {} }()
	opened := make(chan *Authority, 1)
	go func() {
		second, err := OpenAuthority(t.Context(), store.Dir, now)
		if err != nil {
			t.Error(err)
		}
		opened <- second
	}()
	<-waiting
	for _, name := range []string{"ca.key", "ca.crt"} {
		writeFile(t, filepath.Join(store.Dir, name), readFile(t, filepath.Join(next.Dir, name)))
	}
	first.Close()
	second := <-opened
	if second == nil {
		return
	}
	defer second.Close()
	if !second.ca.cert.Equal(next.CA) {
		t.Error("got the CA before")
	}
}

func clientRequest(name string) Request {
	return Request{Name: name, Client: true, Validity: 90 * 24 * time.Hour}
}

func readIndex(t *testing.T, dir string) []Issued {
	t.Helper()
	index, err := ReadIndex(dir)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func TestIssueValidity(t *testing.T) {
	const day = 24 * time.Hour
	store := ensure(t, nil)
	a := openAuthority(t, store.Dir, now)
	for _, validity := range []time.Duration{time.Hour, 90 * day, 365 * day, 100 * 365 * day} {
		t.Run(validity.String(), func(t *testing.T) {
			out := t.TempDir()
			cert, _, err := a.Issue(Request{Name: "pacs.example", Server: true, Validity: validity}, "ecdsa-p256", out)
			if err != nil {
				t.Fatal(err)
			}
			want := now.Add(validity)
			if want.After(store.CA.NotAfter) {
				want = store.CA.NotAfter
			}
			if !cert.NotAfter.Equal(want) {
				t.Errorf("got end %v, want %v", cert.NotAfter, want)
			}
			pair, err := certfile.LoadKeyPair(filepath.Join(out, "pacs.example.crt"), filepath.Join(out, "pacs.example.key"), "")
			if err != nil {
				t.Fatal(err)
			}
			if len(pair.Certificate) != 2 || !bytes.Equal(pair.Certificate[1], store.CA.Raw) {
				t.Error("the CA doesn't follow the certificate")
			}
			roots := x509.NewCertPool()
			roots.AddCert(store.CA)
			_, err = cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: "pacs.example", CurrentTime: now.Add(time.Minute)})
			if err != nil {
				t.Error(err)
			}
			index := readIndex(t, store.Dir)
			last := index[len(index)-1]
			if last.Serial != SerialText(cert) || last.State(want) != "valid" || last.State(want.Add(time.Second)) != "expired" {
				t.Errorf("got index entry %+v", last)
			}
			if info, err := os.Stat(filepath.Join(out, "pacs.example.key")); err != nil || info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
				t.Errorf("key: %v, %v", info.Mode(), err)
			}
		})
	}
}

// TestIssueRefused: bad input changes nothing.
func TestIssueRefused(t *testing.T) {
	store := ensure(t, nil)
	a := openAuthority(t, store.Dir, now)
	out := t.TempDir()
	writeFile(t, filepath.Join(out, "there.crt"), []byte("mine"))
	for name, r := range map[string]Request{
		"say what the certificate is for":       {Name: "a", Validity: time.Hour},
		"validity of a certificate must be":     {Name: "a", Client: true},
		`name "../a" can't be that of a file`:   clientRequest("../a"),
		`"a b" is neither a DNS name nor an IP`: {Name: "a b", Server: true, Validity: time.Hour},
		`"a b" isn't a DNS name`:                {Name: "a", Server: true, Validity: time.Hour, DNSNames: []string{"a b"}},
		`"nobody" isn't an email address`:       {Name: "a", Client: true, Validity: time.Hour, EmailAddresses: []string{"nobody"}},
		`there.crt": file already exists: move`: clientRequest("there"),
	} {
		if _, _, err := a.Issue(r, "ecdsa-p256", out); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
	if _, _, err := a.Issue(clientRequest("next-ca"), "ecdsa-p256", store.Dir+"/."); err == nil || !strings.Contains(err.Error(), "is that of the PKI") {
		t.Errorf("got %v for the PKI folder", err)
	}
	if names := fileNames(t, out); len(names) != 1 {
		t.Errorf("left behind: %q", names)
	}
	if index := readIndex(t, store.Dir); len(index) != 1 {
		t.Errorf("got index %+v", index)
	}
}

func TestRevoke(t *testing.T) {
	store := ensure(t, nil)
	a := openAuthority(t, store.Dir, now)
	var serials []string
	for _, name := range []string{"one", "two", "two"} {
		cert, _, err := a.Issue(clientRequest(name), "ecdsa-p256", t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		serials = append(serials, SerialText(cert))
	}
	if _, err := a.Find("two"); err == nil || !strings.Contains(err.Error(), serials[1]) || !strings.Contains(err.Error(), serials[2]) {
		t.Errorf("got %v, want both serial numbers", err)
	}
	if _, err := a.Find("three"); err == nil {
		t.Error("found what isn't there")
	}
	if err := a.Revoke(Issued{Serial: serials[0]}, "spite"); err == nil {
		t.Error("revoked for spite")
	}
	last := new(big.Int)
	for i, which := range []string{"one", strings.ToUpper(serials[1])} {
		found, err := a.Find(which)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Revoke(found, "keyCompromise"); err != nil {
			t.Fatal(err)
		}
		crl := ownCRL(t, store)
		if len(crl.RevokedCertificateEntries) != i+1 || crl.Number.Cmp(last) <= 0 {
			t.Errorf("got %d entries, number %v after %v", len(crl.RevokedCertificateEntries), crl.Number, last)
		}
		last = crl.Number
	}
	found, err := a.Find(serials[0])
	if err != nil || found.State(now) != "revoked" || found.Reason != "keyCompromise" {
		t.Errorf("got %+v, %v", found, err)
	}
	if err := a.Revoke(found, "superseded"); err != nil {
		t.Errorf("again: %v", err)
	}
	if again, err := a.Find("one"); err != nil || again != found {
		t.Errorf("got %+v, %v, want it as it was revoked first: %+v", again, err, found)
	}
	if _, _, err := a.Issue(clientRequest("one"), "ecdsa-p256", t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if again, err := a.Find("one"); err != nil || again.State(now) != "valid" {
		t.Errorf("got %+v, %v, want the new one of that name", again, err)
	}
}

// longCRL is a list of our own CA that revokes 23 certificates that aren't in the index.
func longCRL(t *testing.T, store *Store) []byte {
	t.Helper()
	ca, err := layoutOf(store.Dir).readCA()
	if err != nil {
		t.Fatal(err)
	}
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(24 * time.Hour)}
	for serial := range int64(23) {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: now})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, ca.cert, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return asPEM("X509 CRL", der)
}

// TestRevokeFullDisk fills the disk at each byte that a revocation writes. Either nothing has
// changed, or the revocation is in the index, which our tunnels read. Another try completes
// it.
func TestRevokeFullDisk(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs RLIMIT_FSIZE")
	}
	store := ensure(t, nil)
	index := readFile(t, IndexFile(store.Dir))
	long := writeFile(t, OwnCRL(store.Dir), longCRL(t, store))
	crl := readFile(t, long)
	for limit, want := range map[int]string{
		len(index):       "isn't revoked, nothing was changed: writing the index",
		len(index) + 100: "isn't revoked, nothing was changed: writing the index",
		len(crl) - 1:     "the certificate is revoked, but not on the CRL yet: writing",
	} {
		dir := filepath.Join(t.TempDir(), "pki")
		if err := os.CopyFS(dir, os.DirFS(store.Dir)); err != nil {
			t.Fatal(err)
		}
		output, err := startChild(t, dir, childDoes+"=revoke", childLimit+"="+strconv.Itoa(limit))()
		if err == nil || !strings.Contains(output[len(output)-1], want) {
			t.Errorf("%d: got %v, %q, want %q", limit, err, output, want)
		}
		revoked, err := RevokedInIndex(dir, store.CA)
		if nothing := strings.Contains(want, "nothing"); err != nil || nothing != (len(revoked) == 0) || nothing && !bytes.Equal(readFile(t, IndexFile(dir)), index) {
			t.Errorf("%d: index has %v, %v", limit, revoked, err)
		}
		if left := globFiles(t, dir, ".*.tmp"); len(left) > 0 || !bytes.Equal(readFile(t, OwnCRL(dir)), crl) {
			t.Errorf("%d: left behind: %q, or another CRL", limit, left)
		}
		if output, err := startChild(t, dir, childDoes+"=revoke")(); err != nil {
			t.Errorf("%d: again: %q", limit, output)
		}
		if crl := ownCRL(t, open(t, dir)); len(crl.Revoked()) != 24 {
			t.Errorf("%d: the CRL has %v", limit, crl.Revoked())
		}
	}
}

// TestRevokeWithoutCRL: if the CRL can't be written, the CA still revokes more certificates,
// but issues none.
func TestRevokeWithoutCRL(t *testing.T) {
	store := ensure(t, nil)
	a := openAuthority(t, store.Dir, now)
	for _, name := range []string{"one", "two"} {
		if _, _, err := a.Issue(clientRequest(name), "ecdsa-p256", t.TempDir()); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(OwnCRL(store.Dir), "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	a.Close()
	for i, name := range []string{"one", "two"} {
		a, err := OpenAuthority(t.Context(), store.Dir, now)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := a.Find(name); err != nil || !errors.Is(a.Revoke(found, "superseded"), ErrNotOnCRL) {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
		if _, _, err := a.Issue(clientRequest("more"), "ecdsa-p256", t.TempDir()); err == nil {
			t.Error("issued")
		}
		a.Close()
		if revoked, err := RevokedInIndex(store.Dir, store.CA); len(revoked) != i+1 || err != nil {
			t.Errorf("got %v, %v", revoked, err)
		}
		if _, err := RefreshCRL(t.Context(), store.Dir, now); err == nil {
			t.Error("the CRL was written")
		}
	}
}

func ownCRL(t *testing.T, store *Store) certfile.CRL {
	t.Helper()
	crls, err := certfile.LoadCRLs(OwnCRL(store.Dir), []*x509.Certificate{store.CA})
	if err != nil {
		t.Fatal(err)
	}
	return crls[0]
}

// TestRefreshCRL: without a revocation there is no CRL. Afterwards it is signed anew at half
// of its life, or if the file is gone.
func TestRefreshCRL(t *testing.T) {
	store := ensure(t, nil)
	refresh := func(at time.Time, want bool) {
		t.Helper()
		if got, err := RefreshCRL(t.Context(), store.Dir, at); got != want || err != nil {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
	refresh(now, false)
	if _, err := os.Stat(OwnCRL(store.Dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	a := openAuthority(t, store.Dir, now)
	found, err := a.Find("server")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Revoke(found, "superseded"); err != nil {
		t.Fatal(err)
	}
	a.Close()
	first := ownCRL(t, store).Number
	refresh(now.Add(crlLife/2-time.Minute), false)
	refresh(now.Add(crlLife/2+time.Minute), true)
	if second := ownCRL(t, store).Number; second.Cmp(first) <= 0 {
		t.Errorf("number %v after %v", second, first)
	}
	if err := os.Remove(OwnCRL(store.Dir)); err != nil {
		t.Fatal(err)
	}
	refresh(now, true)

	// The clock was two years ahead when the CRL was signed, so no program would accept it
	// until then.
	ahead := now.Add(2 * 365 * 24 * time.Hour)
	refresh(ahead, true)
	number := ownCRL(t, store).Number
	refresh(now, true)
	if crl := ownCRL(t, store); now.Before(crl.ThisUpdate) || crl.Number.Cmp(number) <= 0 || len(crl.RevokedCertificateEntries) != 1 {
		t.Errorf("got a list of %v, number %v after %v", crl.ThisUpdate, crl.Number, number)
	}
	refresh(now, false)
}

// TestRefreshCRLWithoutIndex: the index is lost and has been begun anew. What it had revoked
// stays revoked.
func TestRefreshCRLWithoutIndex(t *testing.T) {
	store := ensure(t, nil)
	a := openAuthority(t, store.Dir, now)
	found, err := a.Find("server")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Revoke(found, "keyCompromise"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(IndexFile(store.Dir)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Issue(clientRequest("one"), "ecdsa-p256", t.TempDir()); err != nil {
		t.Fatal(err)
	}
	a.Close()
	later := now.Add(crlLife/2 + time.Minute)
	if renewed, err := RefreshCRL(t.Context(), store.Dir, later); !renewed || err != nil {
		t.Fatalf("got %v, %v", renewed, err)
	}
	entries := ownCRL(t, store).RevokedCertificateEntries
	if len(entries) != 1 || entries[0].SerialNumber.Cmp(store.Server.Leaf.SerialNumber) != 0 || entries[0].ReasonCode != 1 {
		t.Errorf("got %+v", entries)
	}
}

// TestRevokeAfterRotation: a certificate that the former CA issued gets on the CRL of that
// CA.
func TestRevokeAfterRotation(t *testing.T) {
	before := ensure(t, nil)
	s := testSettings(before.Dir)
	a := openAuthority(t, s.Dir, now)
	if _, _, err := a.Issue(clientRequest("one"), "ecdsa-p256", t.TempDir()); err != nil {
		t.Fatal(err)
	}
	a.Close()
	if err := errors.Join(Rotate(t.Context(), s, now), FinishRotation(t.Context(), s, now)); err != nil {
		t.Fatal(err)
	}
	a = openAuthority(t, s.Dir, now)
	found, err := a.Find("one")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Revoke(found, "superseded"); err != nil {
		t.Fatal(err)
	}
	crls, err := certfile.LoadCRLs(PreviousCRL(s.Dir), []*x509.Certificate{before.CA})
	if err != nil || len(crls[0].RevokedCertificateEntries) != 1 {
		t.Errorf("got %+v, %v", crls, err)
	}
	found.Serial, found.Issuer = "00", "00"
	if err := a.Revoke(found, "superseded"); err == nil || !strings.Contains(err.Error(), "a CA that isn't there any more") {
		t.Errorf("got %v", err)
	}
}

// TestTornIndex: the index may end with part of a line, left by a kill. A reader ignores that
// part, and the next writer cuts it off.
func TestTornIndex(t *testing.T) {
	store := ensure(t, nil)
	file := IndexFile(store.Dir)
	whole := readFile(t, file)
	writeFile(t, file, append(whole, `{"event":"issued","ser`...))
	if index := readIndex(t, store.Dir); len(index) != 1 {
		t.Fatalf("got %+v", index)
	}
	a := openAuthority(t, store.Dir, now)
	if _, _, err := a.Issue(clientRequest("one"), "ecdsa-p256", t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if index := readIndex(t, store.Dir); len(index) != 2 || index[1].Name != "one" {
		t.Errorf("got %+v", index)
	}
	for _, line := range []string{"{", `{"event":"issued"}`, `{"event":"issued","serial":"x"}`, `{"event":"revoked","serial":"01"}`, `{"event":"lost","serial":"01"}`} {
		writeFile(t, file, append([]byte(line+"\n"), whole...))
		if _, err := ReadIndex(store.Dir); err == nil || !strings.Contains(err.Error(), "damaged in line 1: ") || !strings.HasSuffix(err.Error(), "restore it from a backup") {
			t.Errorf("%s: got %v", line, err)
		}
	}
}

func issueChild(s Settings) error {
	a, err := OpenAuthority(context.Background(), s.Dir, now)
	if err != nil {
		return err
	}
	defer a.Close()
	r := clientRequest("client-" + strconv.Itoa(os.Getpid()))
	r.PKCS12 = &PKCS12{Password: "correct horse"}
	_, _, err = a.Issue(r, "ecdsa-p256", filepath.Dir(s.Dir))
	return err
}

func revokeChild(s Settings) error {
	a, err := OpenAuthority(context.Background(), s.Dir, now)
	if err != nil {
		return err
	}
	defer a.Close()
	found, err := a.Find("server")
	if err != nil {
		return err
	}
	return a.Revoke(found, "keyCompromise")
}

// TestTwoIssue: with two processes that issue, no line of the index is lost, and no serial
// number is used twice.
func TestTwoIssue(t *testing.T) {
	store := ensure(t, nil)
	var waits []func() ([]string, error)
	for range 4 {
		waits = append(waits, startChild(t, store.Dir, childDoes+"=issue"))
	}
	for _, wait := range waits {
		if output, err := wait(); err != nil {
			t.Errorf("%v: %q", err, output)
		}
	}
	serials := make(map[string]bool)
	for _, i := range readIndex(t, store.Dir) {
		serials[i.Serial] = true
	}
	if len(serials) != 5 {
		t.Errorf("got %d serial numbers, want 5", len(serials))
	}
}

// TestKillAuthority kills issue, sign and revoke at each step. Every certificate that was
// given out is in the index. The next command succeeds, and after it the CRL has all that the
// index says is revoked.
func TestKillAuthority(t *testing.T) {
	for _, act := range []string{"issue", "sign", "revoke"} {
		killEach(t, act, prepareFirstRun, func(t *testing.T, dir string) {
			index, out := readIndex(t, dir), filepath.Dir(dir)
			if given := globFiles(t, out, "*.crt"); len(given) >= len(index) {
				t.Errorf("%q given out, index %+v", given, index)
			}
			for _, p12 := range globFiles(t, out, "*.p12") { // the last
				base := strings.TrimSuffix(p12, "p12")
				if _, err := certfile.LoadKeyPair(base+"crt", base+"key", ""); err != nil {
					t.Error(err)
				}
			}
			a := openAuthority(t, dir, now)
			if revoked, err := RevokedInIndex(dir, open(t, dir).CA); err != nil || (len(revoked) == 0) != index[0].Revoked.IsZero() {
				t.Errorf("our tunnels go by %v, %v", revoked, err)
			}
			if !index[0].Revoked.IsZero() && len(ownCRL(t, open(t, dir)).RevokedCertificateEntries) != 1 {
				t.Error("not on the CRL")
			}
			if _, _, err := a.Issue(clientRequest("next"), "ecdsa-p256", t.TempDir()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestIssueAfterKill: a killed command leaves temporary files, a key among them. The next
// command for the same name removes them.
func TestIssueAfterKill(t *testing.T) {
	a := openAuthority(t, ensure(t, nil).Dir, now)
	out := t.TempDir()
	for _, name := range []string{"one.key", "one.crt"} {
		writeFile(t, leftover(out, name), []byte("secret"))
	}
	if _, _, err := a.Issue(clientRequest("one"), "ecdsa-p256", out); err != nil {
		t.Fatal(err)
	}
	if names := fileNames(t, out); len(names) != 2 {
		t.Errorf("got files %q", names)
	}
}

// TestIssueExact: a certificate ends when it was asked to, or there is an error.
func TestIssueExact(t *testing.T) {
	store := ensure(t, nil)
	a := openAuthority(t, store.Dir, now)
	r := clientRequest("one")
	r.Exact, r.Validity = true, store.CA.NotAfter.Sub(now)+time.Second
	if _, _, err := a.Issue(r, "ecdsa-p256", t.TempDir()); err == nil || !strings.Contains(err.Error(), "no certificate outlives it") {
		t.Errorf("got %v", err)
	}
	r.Validity -= time.Second
	if cert, _, err := a.Issue(r, "ecdsa-p256", t.TempDir()); err != nil || !cert.NotAfter.Equal(store.CA.NotAfter) {
		t.Errorf("got %v", err)
	}
}
