package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"tlstunnel/service"
)

// subject is the measured service with its targets. It is a process of its own, so that its
// memory is not mixed with ours.
type subject struct {
	config  string
	output  string // a file, with what the process says
	process *exec.Cmd
	exited  chan struct{}

	echo, source, sink *target
	sunk               atomic.Int64      // bytes that reached the sink
	addr               map[string]string // of the tunnel to each target, by its name
	trust              *x509.CertPool
}

// startLimit is how long the first run may take to make its keys and to listen.
const startLimit = 30 * time.Second

func startSubject(ctx context.Context, program, dir string) (_ *subject, err error) {
	s := &subject{config: filepath.Join(dir, "config.toml"), output: filepath.Join(dir, "output"), exited: make(chan struct{}), addr: make(map[string]string)}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	text := "log.file = \"-\"\nlog.level = \"warn\"\npki.dir = \"pki\"\n"
	for _, t := range []struct {
		name string
		at   **target
		does func(net.Conn)
	}{{"echo", &s.echo, echo}, {"source", &s.source, send}, {"sink", &s.sink, func(c net.Conn) { receive(c, &s.sunk) }}} {
		if *t.at, err = serveTarget(t.does); err != nil {
			return nil, err
		}
		text += fmt.Sprintf("[[tunnel]]\nname = %q\nmode = \"server\"\nlisten = \"127.0.0.1:0\"\ntarget = %q\n", t.name, (*t.at).addr())
	}
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	output, err := os.Create(s.output)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	s.process = exec.CommandContext(ctx, program, "run", "--config", s.config)
	s.process.Stdout, s.process.Stderr = output, output
	if err := s.process.Start(); err != nil {
		s.process = nil
		return nil, err
	}
	go s.wait()
	if err := s.awaitReady(ctx); err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(dir, "pki", "ca.crt"))
	if err != nil {
		return nil, err
	}
	s.trust = x509.NewCertPool()
	s.trust.AppendCertsFromPEM(ca)
	return s, nil
}

func (s *subject) wait() {
	_ = s.process.Wait()
	close(s.exited)
}

func (s *subject) ended() bool {
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}

// pause waits for d, or until the service ends.
func (s *subject) pause(d time.Duration) {
	select {
	case <-s.exited:
	case <-time.After(d):
	}
}

// awaitReady asks the service for its status until it answers.
func (s *subject) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		status, err := service.AskStatus(try, s.config)
		cancel()
		if err == nil {
			for _, t := range status.Tunnels {
				s.addr[t.Name] = t.Listen
			}
			return nil
		}
		select {
		case <-s.exited:
			return s.explain(errors.New("the service ended before it was ready"))
		case <-ctx.Done():
			return s.explain(fmt.Errorf("the service wasn't ready after %v: %w", startLimit, err))
		case <-again.C:
		}
	}
}

// explain adds the service's output to an error.
func (s *subject) explain(err error) error {
	said, _ := os.ReadFile(s.output)
	if text := strings.TrimSpace(string(said[:min(len(said), 4<<10)])); text != "" {
		return fmt.Errorf("%w; the service said: %s", err, text)
	}
	return err
}

// memory returns the memory of the service in bytes.
func (s *subject) memory() (float64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	status, err := service.AskStatus(ctx, s.config)
	return float64(status.Memory), err
}

// dialer opens connections with TLS through the named tunnel.
func (s *subject) dialer(tunnel string) dialer {
	return func() (net.Conn, error) { return tls.Dial("tcp", s.addr[tunnel], s.clientConfig()) }
}

func (s *subject) clientConfig() *tls.Config {
	return &tls.Config{RootCAs: s.trust, ServerName: "127.0.0.1"}
}

func (s *subject) stop() {
	if s.process != nil {
		_ = s.process.Process.Kill() // Windows has nothing gentler; the folder goes anyway
		<-s.exited
	}
	for _, t := range []*target{s.echo, s.source, s.sink} {
		if t != nil {
			t.listener.Close()
		}
	}
}
