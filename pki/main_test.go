package pki

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/dn"
	"tlstunnel/internal/testkit"
	"tlstunnel/pki/certfile"
)

// A test that needs a second process starts this test binary again with these variables set.
// The child calls Ensure, or does what childDoes says. If childKill is set, the child ends at
// that step.
const (
	childDir   = "PKI_TEST_DIR"
	childKill  = "PKI_TEST_KILL"  // the number of the step, counted from 1
	childDoes  = "PKI_TEST_DOES"  // in place of Ensure: a key of childActions
	childLimit = "PKI_TEST_LIMIT" // of a file's size, in bytes; it stands for a full disk
)

var now = time.Date(2026, 11, 23, 7, 40, 0, 0, time.UTC)

// What the tests of all packages share, under the names that it has here.
var (
	asPEM     = testkit.PEM
	globFiles = testkit.GlobFiles
	readFile  = testkit.ReadFile
	writeFile = testkit.WriteFile[[]byte]
)

func init() { time.Local = time.UTC } // messages have local time

func TestMain(m *testing.M) {
	thisMachine = func(context.Context) machine {
		return machine{
			host: "PACS01",
			fqdn: "pacs01.clinic.example",
			ips:  []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("127.0.0.1")},
		}
	}
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	os.Exit(m.Run())
}

// child prints the name of every step, and at the end the fingerprint of the
// CA or the error.
func child(dir string) int {
	limitFileSize(os.Getenv(childLimit))
	kill, _ := strconv.Atoi(os.Getenv(childKill))
	steps := 0
	atomicfile.TestOnlyStep = func(step string) {
		steps++
		fmt.Println(step)
		if steps == kill {
			self, _ := os.FindProcess(os.Getpid())
			self.Kill()
			select {}
		}
	}
	if act := childActions[os.Getenv(childDoes)]; act != nil {
		if err := act(testSettings(dir)); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println("done")
		return 0
	}
	store, _, err := Ensure(context.Background(), testSettings(dir), now)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(dn.Fingerprint(store.CA))
	return 0
}

var childActions = map[string]func(Settings) error{
	"rotate":  func(s Settings) error { return Rotate(context.Background(), s, now) },
	"finish":  func(s Settings) error { return FinishRotation(context.Background(), s, now) },
	"cancel":  func(s Settings) error { return CancelRotation(context.Background(), s, now) },
	"issue":   issueChild,
	"csr":     csrChild,
	"sign":    signChild,
	"revoke":  revokeChild,
	"install": installChild,
	"export": func(s Settings) error {
		ca, err := certfile.LoadCertificates(filepath.Join(s.Dir, "ca.crt"))
		if err != nil {
			return err
		}
		_, err = ExportCA(ca[0], nil, filepath.Dir(s.Dir))
		return err
	},
	"renew": func(s Settings) error {
		_, err := Renew(context.Background(), s, now, RenewOptions{Force: true})
		return err
	},
	"renew new key": func(s Settings) error {
		_, err := Renew(context.Background(), s, now, RenewOptions{Force: true, NewKey: true})
		return err
	},
}

func testSettings(dir string) Settings {
	return Settings{
		Dir:          dir,
		KeyType:      "ecdsa-p256",
		CAValidity:   20 * 365 * 24 * time.Hour,
		CertValidity: 365 * 24 * time.Hour,
	}
}

// ensure makes a PKI in a new folder.
func ensure(t *testing.T, change func(*Settings)) *Store {
	t.Helper()
	s := testSettings(filepath.Join(t.TempDir(), "pki"))
	if change != nil {
		change(&s)
	}
	store, _, err := Ensure(t.Context(), s, now)
	if err != nil {
		t.Fatal(err)
	}
	return store
}
