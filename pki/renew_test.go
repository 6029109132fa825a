package pki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tlstunnel/pki/certfile"
)

const day = 24 * time.Hour

// TestRenewalDue looks at certificates of all lives at the times that matter.
func TestRenewalDue(t *testing.T) {
	for _, test := range []struct {
		name         string
		ca, validity time.Duration
		want         time.Duration // from the time of issue; 0 is never
	}{
		{"1 h", 20 * 365 * day, time.Hour, 40 * time.Minute},
		{"90 d", 20 * 365 * day, 90 * day, 60 * day},
		{"1 y", 20 * 365 * day, 365 * day, 365 * day / 3 * 2},
		{"100 y", 101 * 365 * day, 100 * 365 * day, 100 * 365 * day / 3 * 2},
		{"as long as the CA", 30 * day, 30 * day, 0},
		{"longer than the CA", 30 * day, 365 * day, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := ensure(t, func(s *Settings) { s.CAValidity, s.CertValidity = test.ca, test.validity })
			s := testSettings(store.Dir)
			s.CertValidity = test.validity
			at, _ := s.renewalDue(t.Context(), store, now)
			if test.want == 0 {
				if !at.IsZero() {
					t.Errorf("got %v, want never", at)
				}
				return
			}
			if got := at.Sub(now); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
			for after, want := range map[time.Duration]bool{test.want - time.Second: false, test.want: true} {
				reason, err := Renew(t.Context(), s, now.Add(after), RenewOptions{})
				if err != nil || (reason != "") != want {
					t.Errorf("after %v: got renewed %q, %v, want %v", after, reason, err, want)
				}
			}
		})
	}
}

// TestNoRenewalStorm: a certificate can't outlast its CA. There is one more certificate that
// ends with the CA, and then none, because it would last no longer.
func TestNoRenewalStorm(t *testing.T) {
	store := ensure(t, func(s *Settings) { s.CAValidity, s.CertValidity = 100*day, 90*day })
	s := testSettings(store.Dir)
	s.CertValidity = 90 * day
	renewals := 0
	for at := now; at.Before(now.Add(100 * day)); at = at.Add(time.Hour) {
		reason, err := Renew(t.Context(), s, at, RenewOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if reason != "" {
			renewals++
		}
	}
	if renewals != 1 {
		t.Errorf("got %d renewals, want 1", renewals)
	}
}

// TestShorterValidity sets cert_validity to less than what is left: a new
// certificate would end sooner than the old.
func TestShorterValidity(t *testing.T) {
	store := ensure(t, nil)
	s := testSettings(store.Dir)
	s.CertValidity = time.Hour
	at, _ := s.renewalDue(t.Context(), store, now)
	if want := now.Add(365*day - time.Hour); !at.Equal(want) {
		t.Errorf("got %v, want %v", at, want)
	}
}

func TestRenewalForNames(t *testing.T) {
	store := ensure(t, nil)
	s := testSettings(store.Dir)
	defer func(before func(context.Context) machine) { thisMachine = before }(thisMachine)
	m := thisMachine(t.Context())
	for _, test := range []struct {
		change func(*machine, *Settings)
		want   string
	}{
		{func(*machine, *Settings) {}, ""},
		{func(m *machine, _ *Settings) { m.fqdn, m.ips = "", nil }, ""}, // less is no reason
		{func(m *machine, _ *Settings) { m.ips = append(m.ips, netip.MustParseAddr("fe80::1")) }, ""},
		{func(m *machine, _ *Settings) { m.ips = append(m.ips, netip.MustParseAddr("198.51.100.1")) }, "it lacks 198.51.100.1"},
		{func(m *machine, _ *Settings) { m.host = "pacs02" }, "it lacks pacs02"},
		{func(_ *machine, s *Settings) { s.Names = []string{"*.example"} }, "it lacks *.example, pacs01"},
	} {
		changed, settings := m, s
		changed.ips = slices.Clone(m.ips)
		test.change(&changed, &settings)
		thisMachine = func(context.Context) machine { return changed }
		got, err := Renew(t.Context(), settings, now, RenewOptions{})
		if err != nil || got != test.want {
			t.Errorf("got %q, %v, want %q", got, err, test.want)
		}
		if again, err := Renew(t.Context(), settings, now, RenewOptions{}); err != nil || again != "" {
			t.Errorf("%q: again: %q, %v", test.want, again, err)
		}
	}
}

func TestRenewKey(t *testing.T) {
	first := ensure(t, nil)
	for _, newKey := range []bool{false, true} {
		before := readFile(t, layoutOf(first.Dir).serverKey)
		if _, err := Renew(t.Context(), testSettings(first.Dir), now, RenewOptions{Force: true, NewKey: newKey}); err != nil {
			t.Fatal(err)
		}
		store, err := Open(first.Dir, now)
		if err != nil {
			t.Fatal(err)
		}
		if store.Server.Leaf.Equal(first.Server.Leaf) {
			t.Error("the certificate is the old one")
		}
		if same := bytes.Equal(before, readFile(t, layoutOf(first.Dir).serverKey)); same == newKey {
			t.Errorf("new key %v: got the same key: %v", newKey, same)
		}
		verify(t, store)
	}
}

// TestRenewFullDisk: if a full disk prevents a certificate, the certificate isn't in the
// index either, and the pair stays as it was.
func TestRenewFullDisk(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs RLIMIT_FSIZE")
	}
	for _, does := range []string{"renew", "renew new key"} {
		store := ensure(t, nil)
		before := snapshot(t, store.Dir)
		limit := len(readFile(t, layoutOf(store.Dir).serverCert)) - 50 // the index with another line stays below this
		output, err := startChild(t, store.Dir, childDoes+"="+does, childLimit+"="+strconv.Itoa(limit))()
		if err == nil || !strings.Contains(output[len(output)-1], "server.crt") {
			t.Errorf("%s: got %v, %q", does, err, output)
		}
		if after := snapshot(t, store.Dir); after != before {
			t.Errorf("%s: got\n%s\nwant\n%s", does, after, before)
		}
	}
}

// TestRevokeFormerServers: after a change of the key, the former server certificates are
// revoked, whichever of our own CAs issued them.
func TestRevokeFormerServers(t *testing.T) {
	store := ensure(t, nil)
	s := testSettings(store.Dir)
	rotated(t, store.Dir)
	if err := FinishRotation(t.Context(), s, now); err != nil {
		t.Fatal(err)
	}
	for _, newKey := range []bool{false, true} {
		if _, err := Renew(t.Context(), s, now, RenewOptions{Force: true, NewKey: newKey}); err != nil {
			t.Fatal(err)
		}
	}
	a := openAuthority(t, store.Dir, now)
	partner, _, err := a.Issue(clientRequest("server"), "ecdsa-p256", t.TempDir()) // another machine's of that name
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	revoked, doubtful, err := RevokeFormerServers(t.Context(), store.Dir, now)
	if index := readIndex(t, store.Dir); err != nil || len(revoked) != len(index)-2 || len(revoked) < 3 {
		t.Errorf("revoked %d of %d, %v", len(revoked), len(index), err)
	}
	if len(doubtful) != 1 || doubtful[0].Serial != SerialText(partner) {
		t.Errorf("doubtful: %v", doubtful)
	}
	for _, i := range readIndex(t, store.Dir) {
		want := "revoked"
		if i.Serial == SerialText(open(t, store.Dir).Server.Leaf) || i.Serial == SerialText(partner) {
			want = "valid"
		}
		if got := i.State(now); got != want {
			t.Errorf("%+v is %s", i, got)
		}
	}
	previous, err := certfile.LoadCRLs(PreviousCRL(store.Dir), []*x509.Certificate{store.CA})
	if err != nil || previous[0].Revoked()[store.Server.Leaf.SerialNumber.String()] == "" {
		t.Errorf("the first isn't on the CRL of its CA: %v", err)
	}
	if again, _, err := RevokeFormerServers(t.Context(), store.Dir, now); err != nil || len(again) != 0 {
		t.Errorf("again: %v, %v", again, err)
	}
}

// TestExpiredIsRenewed starts long after the end of the certificate.
func TestExpiredIsRenewed(t *testing.T) {
	first := ensure(t, nil)
	later := now.Add(500 * day)
	if _, err := Open(first.Dir, later); err != nil {
		t.Errorf("Open: %v", err) // the peer decides
	}
	store, created, err := Ensure(t.Context(), testSettings(first.Dir), later)
	if err != nil || !slices.Equal(created, []string{layoutOf(first.Dir).serverCert}) {
		t.Fatalf("got %q, %v", created, err)
	}
	if !store.Server.Leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(first.Server.Leaf.PublicKey) {
		t.Error("another key")
	}
}

// TestClockWasAhead: the clock was two years ahead at the renewal, and is right now. A start
// renews the certificate, and a running service finds a renewal due at once.
func TestClockWasAhead(t *testing.T) {
	first := ensure(t, nil)
	s := testSettings(first.Dir)
	ahead := now.Add(730 * day)
	if _, _, err := Ensure(t.Context(), s, ahead); err != nil {
		t.Fatal(err)
	}
	if leaf := open(t, s.Dir).Server.Leaf; !now.Before(leaf.NotBefore) {
		t.Fatalf("begins on %v", leaf.NotBefore)
	}
	at, reason, err := NextRenewal(t.Context(), s, now)
	if want := "it isn't valid before 2028-11-22 06:40:00 +00:00: the clock was ahead when it was made"; err != nil || !at.Equal(now) || reason != want {
		t.Errorf("got %v, %q, %v, want %q", at, reason, err, want)
	}
	store, created, err := Ensure(t.Context(), s, now)
	if err != nil || !slices.Equal(created, []string{layoutOf(s.Dir).serverCert}) {
		t.Fatalf("got %q, %v", created, err)
	}
	if now.Before(store.Server.Leaf.NotBefore) || !bytes.Equal(store.Server.Leaf.RawSubjectPublicKeyInfo, first.Server.Leaf.RawSubjectPublicKeyInfo) {
		t.Errorf("begins on %v, or has another key", store.Server.Leaf.NotBefore)
	}
}

// TestClockIsBehind: if the clock isn't set yet, the PKI is used as it is. A warning also
// says what to do if the clock is right. No certificate is made by such a clock.
func TestClockIsBehind(t *testing.T) {
	first := ensure(t, nil)
	s := testSettings(first.Dir)
	behind := time.Date(1970, 1, 1, 0, 0, 5, 0, time.UTC)
	store, created, err := Ensure(t.Context(), s, behind)
	if err != nil || len(created) > 0 || !store.Server.Leaf.Equal(first.Server.Leaf) {
		t.Fatalf("got %q, %v", created, err)
	}
	const want = `isn't valid before 2026-11-23 06:40:00 +00:00, and the clock says 1970-01-01 00:00:05 +00:00: check the clock of this machine; if it is right, delete `
	if warnings := strings.Join(store.Warnings, "; "); !strings.Contains(warnings, want) {
		t.Errorf("got %q", warnings)
	}
	if at, reason, err := NextRenewal(t.Context(), s, behind); err != nil || !at.After(now) {
		t.Errorf("due at %v, %q, %v", at, reason, err)
	}
	if _, err := OpenAuthority(t.Context(), s.Dir, behind); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}

// TestNotRenewed: a start that can't renew an expired certificate opens it as it is.
func TestNotRenewed(t *testing.T) {
	first := ensure(t, nil)
	unlock, err := Lock(t.Context(), first.Dir) // a command that is suspended
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	store, _, err := Ensure(ctx, testSettings(first.Dir), now.Add(500*day))
	if err != nil || !store.Server.Leaf.Equal(first.Server.Leaf) {
		t.Fatal(err)
	}
	if warnings := strings.Join(store.Warnings, "; "); !strings.Contains(warnings, `server.crt", which is valid from 2026-11-23 06:40:00 +00:00 to 2027-11-23 07:40:00 +00:00: waiting for another tlstunnel`) {
		t.Errorf("got %q", warnings)
	}
}

func TestRenewNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	if _, err := Renew(t.Context(), testSettings(dir), now, RenewOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a folder was made")
	}
}

// TestKillRenewal kills a renewal at each of its steps in turn.
func TestKillRenewal(t *testing.T) {
	for _, does := range []string{"renew", "renew new key"} {
		killEach(t, does, prepareFirstRun, func(t *testing.T, dir string) {
			recoverAfterKill(t, dir)
			pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key"))
			if err != nil {
				t.Fatal(err)
			}
			ca, err := certfile.LoadKeyPair(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"), "")
			if err != nil {
				t.Fatal(err)
			}
			roots := x509.NewCertPool()
			roots.AddCert(ca.Leaf)
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now}); err != nil {
				t.Error(err)
			}
		})
	}
}
