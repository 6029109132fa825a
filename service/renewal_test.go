package service

import (
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/ownpki"
	"tlstunnel/internal/testkit"
	"tlstunnel/pki"
)

// shortLived is a server tunnel whose certificate is to be renewed after 40 minutes.
func shortLived(t *testing.T) *subject {
	return startService(t, `pki.cert_validity = "1h"
[[tunnel]]
name = "pacs"
mode = "server"
listen = "127.0.0.1:0"
target = "`+greeter(t, "pacs")+`"
`)
}

func (s *subject) leafSerial(cfg *tls.Config) string {
	s.t.Helper()
	return s.dial("pacs", cfg).ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// TestRenewalLive renews while a connection streams.
func TestRenewalLive(t *testing.T) {
	s := shortLived(t)
	cfg := s.tlsConfig()
	c := speak(s.dial("pacs", cfg))
	c.expect(t, "pacs")
	first := s.leafSerial(cfg)

	now := time.Now()
	s.checkCertificates(t.Context(), now)
	if due := s.Status().Renewal.Due.Sub(now); due < 39*time.Minute || due > 40*time.Minute {
		t.Errorf("due in %v, want 40 minutes", due)
	}
	if got := s.leafSerial(cfg); got != first {
		t.Error("renewed too early")
	}
	c.echo(t, "before")
	s.checkCertificates(t.Context(), now.Add(41*time.Minute))
	c.echo(t, "after")
	if got := s.leafSerial(cfg); got == first {
		t.Error("new handshakes see the old certificate")
	}
	s.log.Await(t, `msg="server certificate renewed" reason="two thirds of its life are over"`)
	if st := s.Status().Renewal; st.Error != "" || st.Due.Sub(now) < 80*time.Minute {
		t.Errorf("got %+v", st)
	}
}

// TestRenewalWaitsNotForEver lets a command hold the lock of the PKI, as a suspended one
// does. The goroutine that renews certificates also serves signals and the watchdog.
func TestRenewalWaitsNotForEver(t *testing.T) {
	defer func(d time.Duration) { pkiLockTimeout = d }(pkiLockTimeout)
	pkiLockTimeout = 50 * time.Millisecond
	s := shortLived(t)
	now := time.Now()
	command, err := pki.OpenAuthority(t.Context(), s.cfg.PKI.Dir, now)
	check(t, err)
	s.checkCertificates(t.Context(), now.Add(41*time.Minute))
	command.Close()
	s.log.Await(t, "waiting for another tlstunnel that holds")
	st := s.Status().Renewal
	const want = "the server certificate should be renewed, because two thirds of its life are over: waiting for another tlstunnel that holds "
	if !strings.HasPrefix(st.Error, want) || st.Retry.IsZero() {
		t.Errorf("got %+v", st)
	}
	s.checkCertificates(t.Context(), st.Retry)
	if st := s.Status().Renewal; st.Error != "" {
		t.Errorf("afterwards: got %+v", st)
	}
}

// TestRenewalFails takes the CA's key away, and brings it back.
func TestRenewalFails(t *testing.T) {
	s := shortLived(t)
	key := filepath.Join(filepath.Dir(s.file), "pki", "ca.key")
	check(t, os.Rename(key, key+".away"))
	const cfgErr = `ca.key" is missing: restore it from a backup`
	now := time.Now().Add(45 * time.Minute)
	var waits []time.Duration
	for range 3 {
		s.checkCertificates(t.Context(), now)
		st := s.Status().Renewal
		if !strings.Contains(st.Error, cfgErr) {
			t.Fatalf("got %+v", st)
		}
		waits = append(waits, st.Retry.Sub(now))
		if next := s.nextCertCheck(now); next != waits[len(waits)-1] {
			t.Errorf("looks again in %v, want %v", next, st.Retry.Sub(now))
		}
		s.checkCertificates(t.Context(), st.Retry.Add(-time.Millisecond)) // too early: nothing
		now = st.Retry
	}
	s.log.AwaitCount(t, `msg="server certificate not renewed"`, 3)
	s.log.Await(t, `msg="CRL not signed anew" err=`)
	check(t, os.Rename(key+".away", key))
	s.checkCertificates(t.Context(), now)
	if st := s.Status().Renewal; st.Error != "" || !st.Retry.IsZero() {
		t.Errorf("got %+v", st)
	}
}

// TestExpiryWarnings lets a certificate of the user's own grow old while the service runs
// without a reload.
func TestExpiryWarnings(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	_, _, err := pki.Ensure(t.Context(), pki.Settings{Dir: dir, KeyType: "ecdsa-p256", CAValidity: 1000 * 24 * time.Hour, CertValidity: 365 * 24 * time.Hour}, now)
	check(t, err)
	s := startService(t, `[[tunnel]]
name = "pacs"
mode = "server"
listen = "127.0.0.1:0"
target = "127.0.0.1:1"
cert = '`+filepath.Join(dir, "server.crt")+`'
key = '`+filepath.Join(dir, "server.key")+`'
`)
	var got []int
	for hours := range 365 * 24 {
		before := strings.Count(s.log.String(), msgExpiry)
		s.warnOfExpiry(now.Add(time.Duration(hours)*time.Hour + time.Minute))
		for range strings.Count(s.log.String(), msgExpiry) - before {
			got = append(got, 365-hours/24)
		}
	}
	if want := []int{30, 14, 7, 3, 1}; !slices.Equal(got, want) {
		t.Errorf("got warnings %d days before the end, want %d", got, want)
	}
}

// TestRenewalUnwritable takes the right to write away from the service.
func TestRenewalUnwritable(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("needs an ordinary user under Unix")
	}
	s := shortLived(t)
	dir := filepath.Join(filepath.Dir(s.file), "pki")
	check(t, os.Chmod(dir, 0o500))
	defer func() { check(t, os.Chmod(dir, 0o700)) }()
	s.checkCertificates(t.Context(), time.Now().Add(45*time.Minute))
	if got := s.Status().Renewal.Error; !strings.Contains(got, "permission denied") || !strings.Contains(got, "let the account of the service write to") {
		t.Errorf("got %q", got)
	}
}

// TestLostPKILater: the PKI of a service comes back, as on a disk that is mounted late. The
// service uses it, and has made no other PKI in the meantime.
func TestLostPKILater(t *testing.T) {
	cfg := load(t, serverTunnel("a", "127.0.0.1:0", "127.0.0.1:1", ""))
	first, _, err := ownpki.First(t.Context(), cfg)
	check(t, err)
	aside := filepath.Join(t.TempDir(), "unmounted")
	check(t, os.Rename(cfg.PKI.Dir, aside))
	log := new(testkit.Log)
	s, err := Start(t.Context(), cfg, slog.New(slog.NewTextHandler(log, nil)))
	check(t, err)
	defer s.Stop()
	if got := s.leftOutNames(); len(got) != 1 || !strings.Contains(log.String(), "is gone") {
		t.Fatalf("left out: %v\n%s", got, log)
	}
	check(t, os.Rename(aside, cfg.PKI.Dir))
	store, err := s.ownPKI(t.Context(), s.cfg)
	check(t, err)
	if !store.CA.Equal(first.CA) {
		t.Error("another CA")
	}
}
