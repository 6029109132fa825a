package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tlstunnel/internal/config"
	"tlstunnel/internal/dn"
	"tlstunnel/pki"
	"tlstunnel/pki/certfile"
	"tlstunnel/service"
)

// demoBytes is how many bytes go there and back. They are enough to measure the speed, and don't take
// long on a slow machine.
const demoBytes = 64 << 20

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show a whole tunnel pair at work on this machine",
		Long: `Start a plain echo service, a server tunnel in front of it and a client tunnel in
front of that, all on loopback and in a throw-away folder; send real data through
both; and show what happened.`,
		Example: "  tlstunnel demo",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context()) },
	}
}

func (a *app) demo(ctx context.Context) error {
	// If one of these signals comes, the demo must still remove the folder with its keys.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	d, err := startDemo(ctx)
	if d != nil {
		defer d.stop()
	}
	if err != nil {
		return fmt.Errorf("setting up the demo: %w", err)
	}
	for _, show := range []func(io.Writer) error{d.showParts, d.showCertificate, d.showConnections, showConfig} {
		if err := errors.Join(ctx.Err(), show(a.stdout)); err != nil {
			return err
		}
	}
	return nil
}

// demo is the running pair of tunnels with the echo service behind it.
type demo struct {
	dir            string
	ca             string // the file of the server's CA certificate
	echo           net.Listener
	server, client *demoTunnel
}

// demoTunnel is a service with one tunnel, and what its log says.
type demoTunnel struct {
	addr net.Addr
	log  chan demoLine // the log lines of its connections
	stop func()
}

// demoLine is the log line of a connection.
type demoLine struct {
	Msg         string
	TLS         string
	Cipher      string
	KeyExchange string `json:"key_exchange"`
	Resumed     bool
	Handshake   time.Duration
	Reason      string
}

func startDemo(ctx context.Context) (*demo, error) {
	dir, err := os.MkdirTemp("", "tlstunnel-demo-")
	if err != nil {
		return nil, err
	}
	d := &demo{dir: dir, ca: filepath.Join(dir, "server", "pki", "ca.crt")}
	if d.echo, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return d, err
	}
	go serveEcho(d.echo)
	d.server, err = startDemoTunnel(ctx, filepath.Join(dir, "server", "config.toml"), fmt.Sprintf(`
		log.file = "-"
		pki.dir = "pki"
		[[tunnel]]
		name = "demo"
		mode = "server"
		listen = "127.0.0.1:0"
		target = %q
	`, d.echo.Addr()))
	if err != nil {
		return d, err
	}
	d.client, err = startDemoTunnel(ctx, filepath.Join(dir, "client", "config.toml"), fmt.Sprintf(`
		log.file = "-"
		pki.dir = "pki"
		[[tunnel]]
		name = "demo"
		mode = "client"
		listen = "127.0.0.1:0"
		target = %q
		ca = ["../server/pki/ca.crt"]
	`, d.server.addr))
	return d, err
}

// startDemoTunnel runs a service with the config text. Relative paths start in the folder of file,
// which needn't exist itself. The config has one tunnel, named demo.
func startDemoTunnel(ctx context.Context, file, text string) (*demoTunnel, error) {
	cfg, problems := config.Parse(file, []byte(text))
	if err := problems.Err(); err != nil {
		return nil, err
	}
	logOut, logIn := io.Pipe()
	t := &demoTunnel{log: make(chan demoLine, 16)}
	go t.readLog(logOut)
	ctx, cancel := context.WithCancel(ctx)
	s, err := service.Start(ctx, cfg, slog.New(slog.NewJSONHandler(logIn, nil)))
	if err != nil {
		cancel()
		return nil, err
	}
	t.addr = s.Addr("demo")
	t.stop = func() {
		cancel()
		s.Stop()
		logIn.Close()
	}
	return t, nil
}

// readLog sends the log lines of connections to t.log.
func (t *demoTunnel) readLog(r io.Reader) {
	for d := json.NewDecoder(r); ; {
		var line demoLine
		if err := d.Decode(&line); err != nil {
			return
		}
		if line.Reason != "" {
			t.log <- line
		}
	}
}

func serveEcho(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	}
}

func (d *demo) stop() {
	for _, t := range []*demoTunnel{d.client, d.server} {
		if t != nil {
			t.stop()
		}
	}
	if d.echo != nil {
		d.echo.Close()
	}
	os.RemoveAll(d.dir)
}

func (d *demo) showParts(w io.Writer) error {
	_, err := fmt.Fprintf(w, `A tunnel pair on this machine, in a throw-away folder:

  this demo ──plain──> client tunnel ══TLS══> server tunnel ──plain──> echo service
                       %-15s        %-15s           %s

`, d.client.addr, d.server.addr, d.echo.Addr())
	return err
}

func (d *demo) showCertificate(w io.Writer) error {
	store, err := pki.Open(filepath.Dir(d.ca), time.Now())
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "The server's first run made a CA and this certificate, signed by it:\n\n")
	if err := certfile.Describe(store.Server.Leaf, time.Now()).WriteText(indent{w}); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\nThe client trusts this CA alone, and expects the name %q:\n\n  %s\n  SHA-256 %s\n\n",
		"127.0.0.1", dn.Text(store.CA.Subject), dn.Fingerprint(store.CA))
	return err
}

// showConnections sends data through the pair twice, since the second connection can resume the TLS
// session of the first.
func (d *demo) showConnections(w io.Writer) error {
	for i, size := range []int{1 << 10, demoBytes} {
		took, sum, err := d.echoThrough(size)
		if err != nil {
			return fmt.Errorf("connection %d: %w", i+1, err)
		}
		line := <-d.client.log
		kind := "full"
		if line.Resumed {
			kind = "resumed"
		}
		fmt.Fprintf(w, `Connection %d
  handshake     %s, %s, key exchange %s
                %s, in %v
  sent          %s there and back, the same on return (SHA-256 %x...)
  took          %v in all: %.1f MB/s each way
  ended         %s: %s

`, i+1, line.TLS, line.Cipher, line.KeyExchange, kind, line.Handshake, sizeText(size), sum[:8],
			took.Round(10*time.Microsecond), float64(size)/1e6/took.Seconds(), line.Msg, line.Reason)
	}
	return nil
}

// echoThrough sends size random bytes through the pair, ends the stream, and
// reads until the other side has ended it too.
func (d *demo) echoThrough(size int) (took time.Duration, sum [sha256.Size]byte, err error) {
	data := make([]byte, size)
	rand.Read(data)
	start := time.Now()
	c, err := net.Dial("tcp", d.client.addr.String())
	if err != nil {
		return 0, sum, err
	}
	defer c.Close()
	_ = c.SetDeadline(start.Add(time.Minute))
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(data)
		sent <- errors.Join(err, c.(interface{ CloseWrite() error }).CloseWrite())
	}()
	back := sha256.New()
	_, err = io.Copy(back, c)
	took = time.Since(start)
	if err := errors.Join(err, <-sent); err != nil {
		return 0, sum, err
	}
	sum = sha256.Sum256(data)
	if !bytes.Equal(back.Sum(nil), sum[:]) {
		return 0, sum, fmt.Errorf("%d bytes were sent, and others came back", size)
	}
	return took, sum, nil
}

func sizeText(n int) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// showConfig shows how to do the same between two machines.
func showConfig(w io.Writer) error {
	_, err := io.WriteString(w, `To do it for real, write this in the config of the machine with the server, where
"tlstunnel init" makes one ("tlstunnel paths" says where):

  [[tunnel]]
  name   = "pacs"
  mode   = "server"
  listen = ":2762"
  target = "127.0.0.1:104"

and this on the machine with the client, with a copy of the server's ca.crt:

  [[tunnel]]
  name   = "to-pacs"
  mode   = "client"
  listen = "127.0.0.1:11112"
  target = "server.example:2762"
  ca     = ["ca.crt"]

Then "tlstunnel run" on both. The client program connects to 127.0.0.1:11112 as
if the server were there.
`)
	return err
}

// indent writes two spaces before each line.
type indent struct{ w io.Writer }

func (i indent) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		if _, err := fmt.Fprintf(i.w, "  %s", line); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
