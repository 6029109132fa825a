//go:build linux

package interop

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// TestStderrGone writes the log to a pipe, as with `tlstunnel run | logger`. If the reader of
// the pipe goes away, or stays but reads no more, the tunnels go on, and a stop works.
func TestStderrGone(t *testing.T) {
	for _, leave := range []bool{true, false} {
		t.Run(fmt.Sprintf("reader leaves: %v", leave), func(t *testing.T) {
			dir := t.TempDir()
			config := writeFile(t, dir, "config.toml", `
				log.file = "-"
				log.level = "debug"
				pki.dir = "pki"
				[[tunnel]]
				name = "a"
				mode = "server"
				listen = "127.0.0.1:0"
				target = "127.0.0.1:1"
				max_connections = 20
			`)
			cmd := exec.Command(os.Args[0], "run", "--config", config)
			cmd.Env = append(os.Environ(), asTlstunnel+"=1", "GORACE=atexit_sleep_ms=0")
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			defer func() { cmd.Process.Kill(); cmd.Wait() }()
			address := ""
			for lines := bufio.NewScanner(stderr); address == "" && lines.Scan(); {
				if m := regexp.MustCompile(`msg=listening .* listen=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
					address = m[1]
				}
			}
			if leave {
				stderr.Close()
			}
			// Each connection makes a log line. A pipe holds some 300 of them.
			for i := range 1000 {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatalf("connection %d: %v", i, err)
				}
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				_, _ = io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
				if _, err := io.Copy(io.Discard, c); err != nil && os.IsTimeout(err) {
					t.Fatalf("connection %d: %v", i, err)
				}
				c.Close()
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			go func() { _, err := cmd.Process.Wait(); ended <- err }()
			select {
			case err := <-ended:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(10 * time.Second):
				t.Error("it doesn't stop")
			}
		})
	}
}
