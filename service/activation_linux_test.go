package service

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"tlstunnel/internal/config"
	"tlstunnel/internal/testkit"
)

// childVariable makes this test program a service that systemd starts.
const childVariable = "TLSTUNNEL_TEST_CHILD"

// TestActivationChild isn't a test. The other tests start it, with the sockets from
// descriptor 3 on and the config file in the variable.
func TestActivationChild(t *testing.T) {
	file := os.Getenv(childVariable)
	if file == "" {
		t.Skip("only other tests start this one")
	}
	if os.Getenv("LISTEN_PID") == "" {
		// systemd sets LISTEN_PID to the process id, which is known only here.
		check(t, os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid())))
		check(t, syscall.Exec("/proc/self/exe", os.Args, os.Environ()))
	}
	cfg, problems, err := config.Load(file)
	check(t, err)
	check(t, problems.Err())
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the other test ends it
		cancel()
	}()
	if err := Run(ctx, cfg, slog.New(slog.NewTextHandler(os.Stdout, nil)), Host{}); err != nil {
		fmt.Println("failed:", err)
	}
}

// startActivated starts a service with sockets that are already open. lines has the lines of
// its log.
func startActivated(t *testing.T, text string, names string, sockets ...*os.File) (lines *bufio.Scanner) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	check(t, replaceFile(file, "pki.dir = 'pki'\n"+text))
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestActivationChild$")
	cmd.Env = append(os.Environ(), childVariable+"="+file, "RUNTIME_DIRECTORY="+testkit.ShortTempDir(t),
		"LISTEN_FDS="+strconv.Itoa(len(sockets)), "LISTEN_FDNAMES="+names, "LISTEN_PID=")
	cmd.ExtraFiles = sockets
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	cmd.Stderr = os.Stderr
	check(t, cmd.Start())
	lines = bufio.NewScanner(out)
	t.Cleanup(func() {
		in.Close()
		for lines.Scan() {
		}
		check(t, cmd.Wait())
	})
	return lines
}

// awaitLine reads until a line has text.
func awaitLine(t *testing.T, lines *bufio.Scanner, text string) {
	t.Helper()
	var seen []string
	for lines.Scan() {
		seen = append(seen, lines.Text())
		if strings.Contains(lines.Text(), text) {
			return
		}
	}
	t.Fatalf("no line with %q:\n%s", text, strings.Join(seen, "\n"))
}

// TestActivation: a socket that systemd has opened goes to the tunnel with its name. The
// service opens the others itself.
func TestActivation(t *testing.T) {
	var sockets []*os.File
	var at []string
	for range 2 {
		l := testkit.Listen(t)
		f, err := l.File()
		check(t, err)
		defer f.Close()
		l.Close() // f stays
		sockets, at = append(sockets, f), append(at, l.Addr().String())
	}
	// The service can't listen there by itself, because the addresses aren't this machine's.
	lines := startActivated(t, serverTunnel("b", "192.0.2.1:2", "127.0.0.1:1", "")+
		serverTunnel("a", "192.0.2.1:1", "127.0.0.1:1", "")+
		serverTunnel("c", "127.0.0.1:0", "127.0.0.1:1", ""), "a:b", sockets...)
	awaitLine(t, lines, "msg=listening tunnel=b mode=server listen="+at[1])
	awaitLine(t, lines, "msg=listening tunnel=a mode=server listen="+at[0])
	awaitLine(t, lines, "msg=listening tunnel=c mode=server listen=127.0.0.1:")
	awaitLine(t, lines, "msg=started")
	c, err := net.Dial("tcp", at[0])
	check(t, err)
	_, err = io.WriteString(c, "not TLS\n")
	check(t, err)
	c.Close()
	awaitLine(t, lines, `msg="handshake failed" tunnel=a`)
}

// TestActivationWrongKind: if a tunnel can't use its socket, the tunnel is left out.
func TestActivationWrongKind(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(testkit.ShortTempDir(t), "s"))
	check(t, err)
	defer l.Close()
	f, err := l.(*net.UnixListener).File()
	check(t, err)
	defer f.Close()
	lines := startActivated(t, serverTunnel("a", "127.0.0.1:0", "127.0.0.1:1", ""), "a", f)
	awaitLine(t, lines, msgLeftOut)
	if !strings.Contains(lines.Text(), `tunnel \"a\": the socket \"a\" that systemd has opened isn't one for TCP connections`) {
		t.Errorf("got %s", lines.Text())
	}
}
