package installer

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/pki/certfile"
)

// The program of redHat reads every file in its folder.
var redHat = trustStores[1]

// Variables for the process that is to be killed.
const (
	killRoot = "INSTALLER_TEST_ROOT" // the folder of the machine
	killDoes = "INSTALLER_TEST_DOES" // "trust" the CAs in the file "cas", or "untrust"
	killAt   = "INSTALLER_TEST_KILL" // the number of the step, counted from 1
)

// TestTrustKill kills trust and untrust at each of their steps. Each file in the store's
// folder is complete then, and the next run does the rest.
func TestTrustKill(t *testing.T) {
	if os.Getenv(killRoot) != "" {
		dieTrusting(t)
		return
	}
	later := time.Now().AddDate(0, 1, 0)
	first, second := newCA("first", later), newCA("second", later)
	type list = []*x509.Certificate
	for _, tt := range []struct {
		name         string
		before, want list
	}{
		{"the first CA", nil, list{first}},
		{"another CA", list{first}, list{second}},
		{"a rotation begins", list{first}, list{first, second}},
		{"a rotation ends", list{first, second}, list{second}},
		{"untrust", list{first, second}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for step := 1; ; step++ {
				h := storeHost(t, redHat)
				h.run = func(string, ...string) error { return makeBundle(h.root, redHat) }
				s, err := h.trustStore()
				check(t, err)
				_, err = h.trust(t, tt.before...)
				check(t, err)
				lastYear := time.Now().AddDate(-1, 0, 0)
				check(t, os.Chtimes(s.bundle, lastYear, lastYear))
				check(t, os.Chtimes(s.anchors, lastYear, lastYear))

				output, killed := killTrusting(t, h, tt.want, step)
				for _, file := range anchorFiles(t, s, "*.crt") {
					if _, err := certfile.LoadCertificates(file); err != nil {
						t.Errorf("killed at %q: %v", output, err)
					}
				}
				if tt.want == nil {
					_, err = h.untrust(t) // the CA itself may be gone by then
				} else {
					_, err = h.trust(t, tt.want...)
				}
				if err != nil {
					t.Errorf("killed at %q: the next run: %v", output, err)
				}
				all, err := s.certificates()
				check(t, err)
				if !sameCertificates(all, tt.want) || len(anchorFiles(t, s, "*")) != len(tt.want) {
					t.Errorf("killed at %q: the next run leaves %d certificates in the bundle, and %q", output, len(all), anchorFiles(t, s, "*"))
				}
				if !killed {
					if step < 3 {
						t.Errorf("only the steps %q", output)
					}
					return
				}
			}
		})
	}
}

func sameCertificates(a, b []*x509.Certificate) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(cert *x509.Certificate) bool { return !slices.ContainsFunc(b, cert.Equal) })
}

func anchorFiles(t *testing.T, s trustStore, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.anchors, pattern))
	check(t, err)
	return files
}

// killTrusting starts the process that kills itself, and returns its steps.
func killTrusting(t *testing.T, h host, cas []*x509.Certificate, step int) (steps []string, killed bool) {
	t.Helper()
	var data []byte
	for _, ca := range cas {
		data = append(data, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})...)
	}
	check(t, os.WriteFile(h.root+"/cas", data, 0o644))
	does := "trust"
	if cas == nil {
		does = "untrust"
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTrustKill$")
	cmd.Env = append(os.Environ(), killRoot+"="+h.root, killDoes+"="+does, fmt.Sprint(killAt, "=", step))
	cmd.Stderr = &stderr // go test writes to stdout
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		killed = exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
	}
	if err != nil && !killed {
		t.Fatalf("%v: %s", err, &stderr)
	}
	return strings.Split(strings.TrimSpace(stderr.String()), "\n"), killed
}

// dieTrusting runs in the process that kills itself. It prints each of its steps.
func dieTrusting(t *testing.T) {
	kill, _ := strconv.Atoi(os.Getenv(killAt))
	at := 0
	step := func(name string) {
		fmt.Fprintln(os.Stderr, name)
		if at++; at == kill {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	atomicfile.TestOnlyStep = step
	h := host{root: os.Getenv(killRoot)}
	h.run = func(string, ...string) error { return makeBundle(h.root, redHat) }
	cas, _ := certfile.LoadCertificates(h.root + "/cas") // none for untrust
	plan := h.trustSteps
	if os.Getenv(killDoes) == "untrust" {
		plan = h.untrustSteps
	}
	steps, err := plan(cas)
	check(t, err)
	for i, s := range steps {
		steps[i].Do = func() error {
			err := s.Do()
			step(s.Name)
			return err
		}
	}
	_, err = apply(steps...)
	check(t, err)
}
