package acme

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRenewAt: the renewal is after two thirds of any life, spread over a twelfth.
func TestRenewAt(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, tt := range []struct{ life, first, last time.Duration }{
		{time.Hour, 40 * time.Minute, 45 * time.Minute},
		{6 * day, 4 * day, 4*day + 12*time.Hour},
		{90 * day, 60 * day, 67*day + 12*time.Hour},
		{360 * day, 240 * day, 270 * day},
		{36000 * day, 24000 * day, 27000 * day},
	} {
		cert := tls.Certificate{Leaf: &x509.Certificate{NotBefore: begin, NotAfter: begin.Add(tt.life)}}
		if first, last := RenewAt(cert, 0).Sub(begin), RenewAt(cert, 1).Sub(begin); first != tt.first || last != tt.last {
			t.Errorf("%v: got %v to %v, want %v to %v", tt.life, first, last, tt.first, tt.last)
		}
	}
}

// TestRetryIn: the next attempt isn't before the time that the CA wants, unless the
// certificate would end first.
func TestRetryIn(t *testing.T) {
	const day = 24 * time.Hour
	after := func(d time.Duration) error { return &Error{RetryAfter: d} }
	for _, tt := range []struct {
		failures          int
		err               error
		left              time.Duration // of the certificate
		least, most, want time.Duration
	}{
		{1, errors.New("down"), 30 * day, 30 * time.Second, time.Minute, 0},
		{10, errors.New("down"), time.Minute, 3 * time.Hour, 6 * time.Hour, 0},
		{1, after(day), 30 * day, day, day + time.Minute, day},
		{1, after(time.Second), 30 * day, 30 * time.Second, 61 * time.Second, time.Second},
		{1, after(3650 * day), time.Hour, 30 * time.Minute, 31 * time.Minute, 30 * time.Minute},
		{1, after(3650 * day), 30 * day, 15 * day, 15*day + time.Minute, 15 * day},
		{1, after(3650 * day), 0, 6 * time.Hour, 6*time.Hour + time.Minute, 6 * time.Hour},
		{1, after(3650 * day), -day, 6 * time.Hour, 6*time.Hour + time.Minute, 6 * time.Hour},
		{10, after(3650 * day), time.Second, 3 * time.Hour, 6 * time.Hour, time.Second / 2},
		{1, after(-day), 0, 30 * time.Second, time.Minute, 0},
	} {
		least, asked := RetryIn(tt.failures, 0, tt.err, tt.left)
		if most, _ := RetryIn(tt.failures, 1, tt.err, tt.left); least != tt.least || most > tt.most || most < least || asked != tt.want {
			t.Errorf("%d, %v, %v: got %v to %v, asked for %v, want %v to %v, %v", tt.failures, tt.err, tt.left, least, most, asked, tt.least, tt.most, tt.want)
		}
	}
}

func TestACMEFiles(t *testing.T) {
	a := Settings{Dir: "/pki", Directory: "https://ca.example:8443/dir", Domains: []string{"b.example", "a.example"}}
	other := a
	other.Domains = []string{"b.example"}
	same := a
	same.Email, same.Challenge, same.KeyType = "it@b.example", "http-01", "rsa-2048"
	if a.CertFile() != same.CertFile() || a.CertFile() == other.CertFile() {
		t.Errorf("got %q, %q, %q", a.CertFile(), same.CertFile(), other.CertFile())
	}
	if file := a.accountFile(); file == same.accountFile() || file != other.accountFile() ||
		!strings.HasPrefix(filepath.Base(file), "account-ca.example-") {
		t.Errorf("got %q, %q", file, same.accountFile())
	}
}

// TestACMELoad: no certificate yet, a good one, one that begins after the time of our clock,
// and one that has expired.
func TestACMELoad(t *testing.T) {
	a := Settings{Dir: t.TempDir(), Directory: "https://ca.example/dir", Domains: []string{"pacs.clinic.example"}}
	if _, err := a.Load(now); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := a.LoadChallenge("../../PACS.clinic.example"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := os.Mkdir(filepath.Join(a.Dir, "acme"), 0o700); err != nil {
		t.Fatal(err)
	}
	leaf := madeBy(nil, nil, func(c *x509.Certificate) { c.DNSNames = a.Domains })
	writeFile(t, a.CertFile(), append(leaf.KeyPEM(), leaf.PEM()...))
	begin, end := leaf.NotBefore, leaf.NotAfter
	for _, tt := range []struct {
		now  time.Time
		want string
	}{
		{begin, ""},
		{begin.Add(-30 * time.Minute), ""},
		{begin.Add(-2 * time.Hour), "check the clock of this machine"},
		{end.Add(time.Second), "a new one is ordered by itself"},
	} {
		_, err := a.Load(tt.now)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("at %v: got %v, want %q", tt.now, err, tt.want)
		}
	}
}

// TestEABKey: the key in the forms in which CAs give it out. An error about it never shows
// it.
func TestEABKey(t *testing.T) {
	dir := t.TempDir()
	misunderstood := Settings{EABKid: "kid-1", EABKeyFile: filepath.Join(dir, "zWNDZM6eQGHWpSRTPal5e/IUYFTu7EajVIoguysqZ9wG4")}
	want := fmt.Sprintf("reading eab_key_file: file does not exist: nothing below %q has that name; it must be the name of a file, and the secret is in that file", dir)
	if err := misunderstood.CheckEAB(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	file := filepath.Join(dir, "eab.key")
	a := Settings{EABKid: "kid-1", EABKeyFile: file}
	for text, good := range map[string]bool{
		"zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG4\r\n": true,
		"_-_-":     true,
		"/+/+":     true,
		"aGVsbA==": true,
		"secret!":  false,
		" ":        false,
	} {
		writeFile(t, file, []byte(text))
		err := a.CheckEAB()
		if (err == nil) != good || err != nil && strings.Contains(err.Error(), "secret!") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}
