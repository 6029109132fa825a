package installer

import (
	"bytes"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
)

// storeHost is a machine in a folder. It has a trust store of a kind, and a program that does
// what the program of that kind does: the real one, if it is installed.
func storeHost(t *testing.T, s trustStore) host {
	t.Helper()
	h := host{root: t.TempDir()}
	for _, dir := range []string{s.anchors, filepath.Dir(s.bundle), filepath.Dir(s.program), "/hooks"} {
		check(t, os.MkdirAll(h.root+dir, 0o755))
	}
	check(t, os.WriteFile(h.root+s.program, nil, 0o755))
	check(t, os.WriteFile(h.root+"/conf", []byte("# none\n"), 0o644))
	_, missing := os.Stat("/usr/sbin/update-ca-certificates")
	h.run = func(name string, args ...string) error {
		if name != h.root+s.program {
			t.Errorf("runs %s", name)
		}
		if s.program == "/usr/sbin/update-ca-certificates" && missing == nil {
			return run(s.program, append(args, "--certsconf", h.root+"/conf", "--hooksdir", h.root+"/hooks",
				"--localcertsdir", h.root+s.anchors, "--etccertsdir", h.root+filepath.Dir(s.bundle))...)
		}
		return makeBundle(h.root, s)
	}
	return h
}

// makeBundle does what the program of a store does.
func makeBundle(root string, s trustStore) error {
	entries, err := os.ReadDir(root + s.anchors)
	if err != nil {
		return err
	}
	var all []byte
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(root+s.anchors, entry.Name()))
		if err != nil {
			return err
		}
		all = append(append(all, "# "+entry.Name()+"\n"...), data...)
	}
	return os.WriteFile(root+s.bundle, all, 0o644)
}

func newCA(name string, notAfter time.Time) *x509.Certificate {
	return testkit.NewCA(name, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = notAfter.AddDate(-1, 0, 0), notAfter }).Certificate
}

func (h host) trust(t *testing.T, cas ...*x509.Certificate) ([]State, error) {
	t.Helper()
	steps, err := h.trustSteps(cas)
	check(t, err)
	return apply(steps...)
}

func (h host) untrust(t *testing.T, cas ...*x509.Certificate) ([]State, error) {
	t.Helper()
	steps, err := h.untrustSteps(cas)
	check(t, err)
	return apply(steps...)
}

func TestTrust(t *testing.T) {
	later := time.Now().AddDate(0, 1, 0)
	first, second := newCA("first", later), newCA("second", later)
	expired := newCA("expired", time.Now().AddDate(0, -1, 0))
	for _, kind := range trustStores {
		t.Run(filepath.Base(kind.program), func(t *testing.T) {
			h := storeHost(t, kind)
			s, err := h.trustStore()
			check(t, err)
			foreign := newCA("foreign", later)
			theirs := filepath.Join(s.anchors, "company.crt")
			anchored, err := h.trustSteps([]*x509.Certificate{foreign})
			check(t, err)
			check(t, anchored[0].Do())
			check(t, os.Rename(s.anchor(foreign), theirs))

			has := func(want ...*x509.Certificate) {
				t.Helper()
				all, err := s.certificates()
				check(t, err)
				for _, ca := range []*x509.Certificate{first, second, expired, foreign} {
					if slices.ContainsFunc(all, ca.Equal) != slices.ContainsFunc(want, ca.Equal) {
						t.Errorf("%s in the bundle: %v", ca.Subject, !slices.ContainsFunc(want, ca.Equal))
					}
				}
			}
			expect := func(states []State, err error, want ...State) {
				t.Helper()
				if !slices.Equal(states, want) || err != nil {
					t.Errorf("got %v, %v, want %v", states, err, want)
				}
			}
			states, err := h.trust(t, first)
			expect(states, err, Done, Done)
			has(first, foreign)
			if info, err := os.Stat(s.anchor(first)); err != nil || info.Mode().Perm() != 0o644 {
				t.Errorf("got %v, %v", info, err)
			}
			states, err = h.trust(t, first)
			expect(states, err, Present, Present)

			// A new CA takes the place of the old one.
			states, err = h.trust(t, second)
			expect(states, err, Done, Done, Done)
			has(second, foreign)
			states, err = h.trust(t, first, second)
			expect(states, err, Done, Present, Done)
			has(first, second, foreign)

			// Untrust removes it, whatever the CA is now.
			states, err = h.untrust(t)
			expect(states, err, Done, Done, Done)
			has(foreign)
			states, err = h.untrust(t, first)
			expect(states, err, Present)

			// What others have added to the machine stays, and the command says so.
			_, err = h.untrust(t, foreign)
			if want := `the CA "CN=foreign" is still in "` + s.bundle + `": somebody else put it there too; remove it in the way in which it was added`; err == nil || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("got %v", err)
			}

			// If the CA isn't trusted in the end, the change is undone.
			if states, err = h.trust(t, expired); err == nil || !strings.Contains(err.Error(), "isn't good") || !slices.Equal(states, []State{Done, Failed, Undone}) {
				t.Errorf("got %v, %v", states, err)
			}
			has(foreign)
			links, err := filepath.Glob(filepath.Dir(s.bundle) + "/*tlstunnel*")
			if err != nil || len(links) > 0 || len(s.ours()) > 0 {
				t.Errorf("left: %v, %v, %v", links, s.ours(), err)
			}
		})
	}
}

func TestTrustBroken(t *testing.T) {
	ca := newCA("own", time.Now().AddDate(0, 1, 0))
	if _, err := (host{root: t.TempDir()}).trustSteps([]*x509.Certificate{ca}); err == nil || !strings.Contains(err.Error(), "install the package ca-certificates") {
		t.Errorf("got %v", err)
	}
	kind := trustStores[1]
	for _, tt := range []struct {
		run  error
		want string
	}{
		{errors.New("no space"), "no space"},
		{nil, `lacks the CA "CN=own"`},
	} {
		h := storeHost(t, kind)
		h.run = func(string, ...string) error { return tt.run }
		states, err := h.trust(t, ca)
		if err == nil || !strings.Contains(err.Error(), tt.want) || states[0] != Done || states[1] != Failed {
			t.Errorf("got %v, %v", states, err)
		}
		if s, _ := h.trustStore(); len(s.ours()) > 0 {
			t.Errorf("left: %v", s.ours())
		}
	}

	// If a file looks like ours but can't be read, it is written anew, or removed.
	h := storeHost(t, kind)
	s, err := h.trustStore()
	check(t, err)
	check(t, os.WriteFile(s.anchor(ca), []byte("torn"), 0o644))
	if states, err := h.trust(t, ca); err != nil || states[0] != Done {
		t.Errorf("got %v, %v", states, err)
	}
	check(t, os.WriteFile(s.anchor(ca), bytes.Repeat([]byte("torn"), 9), 0o644))
	if states, err := h.untrust(t); err != nil || !slices.Equal(states, []State{Done, Done}) {
		t.Errorf("got %v, %v", states, err)
	}
}
