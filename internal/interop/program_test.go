//go:build linux

package interop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
)

// What the tests of all packages share, under the names that it has here.
const patience = testkit.Patience

var (
	need     = testkit.Need
	readFile = testkit.ReadFile
)

// run runs a program to its end and returns what it wrote to stdout and stderr.
// Its exit code must be 0.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	output, err := try(t, name, args...)
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, output)
	}
	return output
}

// try is like run, for programs that may fail.
func try(t *testing.T, name string, args ...string) (output string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, need(t, name), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s %q didn't end by itself:\n%s", name, args, out)
	}
	return string(out), err
}

// program is a child process, with what it has written to stdout and stderr.
type program struct {
	name   string
	cmd    *exec.Cmd
	exited chan struct{} // closed when all is known
	err    error         // of its exit; to be read after exited
	output testkit.Log
}

// start starts cmd, and takes its stdout and stderr for itself. At the end of the test it
// sends SIGTERM if cmd still runs, and shows the output if the test failed.
func start(t *testing.T, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{name: filepath.Base(cmd.Path), cmd: cmd, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	cmd.WaitDelay = patience
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.wait()
	t.Cleanup(func() {
		if err := p.stop(syscall.SIGTERM); errors.Is(err, errKilled) {
			t.Errorf("%s: %v", p.name, err)
		}
		if t.Failed() {
			t.Logf("output of %s %q:\n%s", p.name, p.cmd.Args[1:], &p.output)
		}
	})
	return p
}

func (p *program) wait() {
	p.err = p.cmd.Wait()
	close(p.exited)
}

// waitFor waits until the output matches the pattern and returns the match and
// its groups.
func (p *program) waitFor(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	var match []string
	p.waitUntil(t, fmt.Sprintf("output that matches %q", pattern), func(output string) bool {
		match = re.FindStringSubmatch(output)
		return match != nil
	})
	return match
}

// waitUntil waits until ok accepts the output.
func (p *program) waitUntil(t *testing.T, what string, ok func(output string) bool) {
	t.Helper()
	timeout := time.After(patience)
	for {
		changed := p.output.Next()
		if ok(p.output.String()) {
			return
		}
		select {
		case <-changed:
		case <-p.exited:
			if !ok(p.output.String()) {
				t.Fatalf("%s ended (%v) without %s", p.name, p.err, what)
			}
			return
		case <-timeout:
			t.Fatalf("%s: no %s within %v", p.name, what, patience)
		}
	}
}

// waitExit waits for the program to end by itself, with exit code 0.
func (p *program) waitExit(t *testing.T) {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("%s didn't end by itself within %v", p.name, patience)
	}
	if p.err != nil {
		t.Fatalf("%s: %v", p.name, p.err)
	}
}

var errKilled = errors.New("it didn't stop when it was told to, and was killed")

// stop ends the program if it still runs, and returns the error of its exit.
func (p *program) stop(signal syscall.Signal) error {
	_ = p.cmd.Process.Signal(signal) // an error means that it has exited
	select {
	case <-p.exited:
		return p.err
	case <-time.After(5 * time.Second): // the longest time for a stop; usually it is shorter
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
	return errKilled
}

// startListening starts a server that has to be told its port: command returns the command
// line for an address. It returns when the server accepts connections there.
func startListening(t *testing.T, command func(address string) *exec.Cmd) (p *program, address string) {
	t.Helper()
	for range 5 { // another program may take the port first
		address = freeAddress(t)
		p = start(t, command(address))
		if p.accepts(t, address) {
			return p, address
		}
	}
	t.Fatalf("%s doesn't listen at any address", p.name)
	return nil, ""
}

// accepts waits until connections to address are accepted. It returns false
// when the program has exited.
func (p *program) accepts(t *testing.T, address string) bool {
	t.Helper()
	for timeout := time.After(patience); ; {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		select {
		case <-p.exited: // another program accepted the connection
			return false
		default:
		}
		if err == nil {
			return true
		}
		select {
		case <-p.exited:
			return false
		case <-time.After(10 * time.Millisecond): // a port can only be polled
		case <-timeout:
			t.Fatalf("%s doesn't accept connections at %s", p.name, address)
		}
	}
}

// freeAddress is a loopback address where no program listens. The system doesn't give its
// port to programs that ask for any port.
func freeAddress(t *testing.T) string {
	t.Helper()
	const low, high = 15000, 32000 // ip_local_port_range begins at 32768
	for {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", low+rand.IntN(high-low)))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
}

// writeFile writes a file into dir and returns its path.
func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	return testkit.WriteFile(t, filepath.Join(dir, name), text)
}
