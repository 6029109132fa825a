package pki

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
	"tlstunnel/pki/certfile"
)

// trusts reports whether a client that trusts only root accepts the server. Go and openssl
// are such clients.
func trusts(t *testing.T, store *Store, root *x509.Certificate) bool {
	t.Helper()
	roots, above := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root)
	for _, der := range store.Server.Certificate[1:] {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		above.AddCert(cert)
	}
	_, err := store.Server.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: above, DNSName: "localhost", CurrentTime: now})
	if err == nil {
		file := writeFile(t, filepath.Join(t.TempDir(), "root.crt"), certfile.EncodeCertificates(root))
		testkit.Run(t, "openssl", "verify", "-attime", "1795420800", "-x509_strict", "-purpose", "sslserver",
			"-CAfile", file, "-untrusted", layoutOf(store.Dir).serverCert, layoutOf(store.Dir).serverCert)
	}
	return err == nil
}

func open(t *testing.T, dir string) *Store {
	t.Helper()
	store, err := Open(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestRotation(t *testing.T) {
	for _, keyType := range []string{"ecdsa-p256", "rsa-2048"} {
		first := ensure(t, func(s *Settings) { s.KeyType = keyType })
		s := testSettings(first.Dir)
		key := readFile(t, layoutOf(first.Dir).serverKey)
		if err := FinishRotation(t.Context(), s, now); !errors.Is(err, ErrNotRotating) {
			t.Errorf("finish without a rotation: %v", err)
		}
		current := first.CA
		for round := range 3 { // all on one day
			now := now.Add(time.Duration(round) * time.Second)
			if err := Rotate(t.Context(), s, now); err != nil {
				t.Fatal(err)
			}
			if err := Rotate(t.Context(), s, now); !errors.Is(err, ErrRotating) {
				t.Errorf("twice: %v", err)
			}
			store := open(t, first.Dir)
			next := store.Next
			if !store.CA.Equal(current) || !trusts(t, store, current) || !trusts(t, store, next) {
				t.Fatalf("round %d: a client doesn't accept the server any more", round)
			}
			if reason, err := Renew(t.Context(), s, now, RenewOptions{}); err != nil || reason != "" {
				t.Errorf("renewed again: %q, %v", reason, err)
			}
			if _, err := Renew(t.Context(), s, now, RenewOptions{Force: true}); err != nil {
				t.Fatal(err)
			}
			if store = open(t, first.Dir); !trusts(t, store, current) || !trusts(t, store, next) {
				t.Error("a renewal during the rotation broke it")
			}
			if err := FinishRotation(t.Context(), s, now); err != nil {
				t.Fatal(err)
			}
			store = open(t, first.Dir)
			if !store.CA.Equal(next) || store.Next != nil || !trusts(t, store, next) || trusts(t, store, current) {
				t.Error("the next CA isn't the current one")
			}
			if len(store.Trusted) != 2 || !store.Trusted[1].Equal(current) {
				t.Error("the CA before isn't trusted any more")
			}
			if next.Subject.CommonName == current.Subject.CommonName && round == 0 {
				t.Error("both CAs have the same name")
			}
			current = next
		}
		if string(key) != string(readFile(t, layoutOf(first.Dir).serverKey)) {
			t.Error("the server's key has changed")
		}
	}
}

func TestCancelRotation(t *testing.T) {
	first := ensure(t, nil)
	s := testSettings(first.Dir)
	if err := Rotate(t.Context(), s, now); err != nil {
		t.Fatal(err)
	}
	if err := CancelRotation(t.Context(), s, now); err != nil {
		t.Fatal(err)
	}
	verify(t, open(t, first.Dir))
	recoverAfterKill(t, first.Dir)
}

// TestRotationUnfinished: a rotation was killed. The reason for the new server certificate
// says so.
func TestRotationUnfinished(t *testing.T) {
	first := ensure(t, nil)
	s := testSettings(first.Dir)
	for _, step := range []struct {
		do   func(context.Context, Settings, time.Time) error
		want string
	}{
		{Rotate, "there is a next CA"},
		{FinishRotation, "the CA is another one now"},
	} {
		if err := step.do(t.Context(), s, now); err != nil {
			t.Fatal(err)
		}
		store := open(t, first.Dir)
		if got := store.unfinished(); got != "" {
			t.Errorf("finished: got %q", got)
		}
		store.Server = first.Server // as if killed before server.crt was replaced
		if got := store.unfinished(); got != step.want {
			t.Errorf("got %q, want %q", got, step.want)
		}
	}
}

func rotated(t *testing.T, dir string) {
	t.Helper()
	prepareFirstRun(t, dir)
	if err := Rotate(t.Context(), testSettings(dir), now); err != nil {
		t.Fatal(err)
	}
}

// TestKillRotation kills each stage at each of its steps in turn. The next start completes
// the stage or takes it back.
func TestKillRotation(t *testing.T) {
	whole := func(t *testing.T, dir string) {
		store, _, err := Ensure(t.Context(), testSettings(dir), now)
		if err != nil {
			t.Fatal(err)
		}
		if reason := store.unfinished(); reason != "" {
			t.Errorf("unfinished: %s", reason)
		}
		if !trusts(t, store, store.CA) || store.Next != nil && !trusts(t, store, store.Next) {
			t.Error("a client doesn't accept the server")
		}
		wantFiles := 6 // the two pairs, .lock and issued.jsonl
		for _, file := range layoutOf(dir).withRotation()[4:] {
			if _, err := os.Lstat(file); err == nil {
				wantFiles++
			}
		}
		if got := fileNames(t, dir); len(got) != wantFiles {
			t.Errorf("leftovers among %q", got)
		}
		if store.Next == nil {
			if err := Rotate(t.Context(), testSettings(dir), now); err != nil {
				t.Error(err)
			}
		}
		if err := FinishRotation(t.Context(), testSettings(dir), now); err != nil {
			t.Error(err)
		}
	}
	killEach(t, "rotate", prepareFirstRun, whole)
	killEach(t, "finish", rotated, whole)
	killEach(t, "cancel", rotated, whole)
}
