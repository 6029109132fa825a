//go:build linux

package interop

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/pki/acme"
)

// asOrder is an environment variable with a [acme.Settings] in JSON. It makes the test binary
// order a certificate with them, and end at the step that killAt names.
const (
	asOrder = "TLSTUNNEL_INTEROP_ORDER"
	killAt  = "TLSTUNNEL_INTEROP_KILL"
)

// order prints each step, which is a change on disk or a request to the CA.
func order(text string) int {
	var a acme.Settings
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		fmt.Println(err)
		return 1
	}
	kill, _ := strconv.ParseInt(os.Getenv(killAt), 10, 64)
	var steps atomic.Int64
	atomicfile.TestOnlyStep = func(step string) {
		fmt.Println(step)
		if steps.Add(1) == kill {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	http.DefaultTransport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		atomicfile.TestOnlyStep("request")
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	if _, err := a.Renew(context.Background(), time.Now, always, nil); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func always(tls.Certificate) bool { return true }

// TestACMEKill kills an order, the first one and a renewal, at each of its steps. Every file
// that is there then is complete. The next order succeeds, and leaves the same files as one
// without a kill.
func TestACMEKill(t *testing.T) {
	p := preparePebble(t)
	p.env = []string{"PEBBLE_VA_ALWAYS_VALID=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=100"}
	p.start(t, "127.0.0.1:1", "127.0.0.1:1")
	in := func(dir string) acme.Settings {
		return acme.Settings{Dir: dir, KeyType: "ecdsa-p256", Directory: "https://" + p.address + "/dir", DirectoryCA: p.root.cert,
			Domains: []string{"localhost"}, Challenge: "tls-alpn-01"}
	}
	done := t.TempDir()
	if _, err := in(done).Renew(t.Context(), time.Now, always, nil); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries(t, filepath.Join(done, "acme")) {
		names = append(names, entry.Name())
	}
	if len(names) != 3 {
		t.Fatalf("got %q, want the lock file, the account's key and the certificate", names)
	}

	for _, kind := range []string{"first", "renewal"} {
		for step := range orderSteps(t, in, kind, done) {
			t.Run(fmt.Sprintf("%s %d", kind, step+1), func(t *testing.T) {
				t.Parallel()
				a := in(t.TempDir())
				prepareOrder(t, kind, done, a)
				output, err := runOrder(t, a, step+1)
				if err == nil || !strings.Contains(err.Error(), "killed") {
					t.Fatalf("wasn't killed: %v, %q", err, output)
				}
				if _, err := a.Load(time.Now()); err != nil && (kind == "renewal" || !errors.Is(err, fs.ErrNotExist)) {
					t.Errorf("the certificate, killed after %q: %v", output, err)
				}
				if _, err := a.LoadChallenge("localhost"); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the challenge, killed after %q: %v", output, err)
				}
				if _, err := a.Renew(t.Context(), time.Now, always, nil); err != nil {
					t.Errorf("the next order, killed after %q: %v", output, err)
				}
				var got []string
				for _, entry := range entries(t, filepath.Join(a.Dir, "acme")) {
					got = append(got, entry.Name())
				}
				if !slices.Equal(got, names) {
					t.Errorf("got files %q, want %q, killed after %q", got, names, output)
				}
			})
		}
	}
}

// orderSteps counts the steps of an order.
func orderSteps(t *testing.T, in func(string) acme.Settings, kind, done string) int {
	t.Helper()
	a := in(t.TempDir())
	prepareOrder(t, kind, done, a)
	output, err := runOrder(t, a, 0)
	if err != nil || len(output) < 12 {
		t.Fatalf("without a kill: %v, %q", err, output)
	}
	return len(output)
}

func prepareOrder(t *testing.T, kind, done string, a acme.Settings) {
	t.Helper()
	if kind == "renewal" {
		if err := os.CopyFS(a.Dir, os.DirFS(done)); err != nil {
			t.Fatal(err)
		}
	}
}

// runOrder runs an order in a process of its own.
func runOrder(t *testing.T, a acme.Settings, kill int) (steps []string, err error) {
	t.Helper()
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), executable(t))
	cmd.Env = append(os.Environ(), asOrder+"="+string(text), killAt+"="+strconv.Itoa(kill), "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	output, err := cmd.Output()
	return strings.Split(strings.TrimSpace(string(output)), "\n"), err
}

func entries(t *testing.T, dir string) []fs.DirEntry {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
