package control

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"tlstunnel/internal/config"
	"tlstunnel/internal/osservice"
)

// TestPipe: the first client gets an answer, and so does the next. Once the pipe is closed,
// no client does.
func TestPipe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	ask := func() (string, error) {
		var answer struct{ Version string }
		err := Ask(ctx, file, http.MethodGet, "/status", nil, &answer)
		return answer.Version, err
	}
	if _, err := ask(); !errors.Is(err, ErrNotRunning) {
		t.Errorf("without a service: got %v", err)
	}
	l, err := listen(file)
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"version": "it's me"}`))
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	for range 2 {
		if version, err := ask(); err != nil || version != "it's me" {
			t.Errorf("got %q, %v", version, err)
		}
	}
	server.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, err := ask(); !errors.Is(err, ErrNotRunning) {
		t.Errorf("closed: got %v", err)
	}
}

// TestPipeAccess: SYSTEM, administrators, and the account that made the pipe have access.
func TestPipeAccess(t *testing.T) {
	if _, err := windows.SecurityDescriptorFromString(pipeAccess); err != nil {
		t.Fatal(err)
	}
	if pipeAccess != "D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;OW)" {
		t.Errorf("got %s", pipeAccess)
	}
}

func TestPipeName(t *testing.T) {
	if got := pipePath(config.SystemConfig()); got != `\\.\pipe\tlstunnel` {
		t.Errorf("got %s", got)
	}
	if got := pipePath(`D:\x\config.toml`); !strings.HasPrefix(got, `\\.\pipe\tlstunnel-`) {
		t.Errorf("got %s", got)
	}
}

func TestTrustedOwner(t *testing.T) {
	for owner, want := range map[string]bool{"S-1-5-18": true, "S-1-5-32-544": true, osservice.AccountSID(): true, "S-1-5-21-1-2-3-1001": true, "S-1-5-21-1-2-3-1002": false, "S-1-1-0": false, "": false} {
		if got := trustedOwner(owner, "S-1-5-21-1-2-3-1001"); got != want {
			t.Errorf("%q: got %v", owner, got)
		}
	}
}
