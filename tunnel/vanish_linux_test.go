package tunnel

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const vanishedPeer = "the peer vanished: it no longer answers keepalive probes or takes data"

// If a side vanishes, the tunnel finds out within about twice keepalive, whatever the side
// was doing. It doesn't take a slow side for one that vanished. The test needs other
// machines, which are network namespaces that only this process knows.
func TestVanish(t *testing.T) {
	t.Parallel()
	if os.Getenv(inOwnNetwork) == "" {
		runInOwnNetwork(t)
		return
	}
	if err := exec.Command("ip", "link", "set", "lo", "up").Run(); err != nil {
		t.Fatal(err)
	}
	const keepalive = time.Second
	tests := []struct {
		name          string
		before, after func(far, other *end) error
	}{
		{"idle", nil, nil},
		{"bytes that it doesn't acknowledge", nil, func(_, other *end) error { return send(other, 1000) }},
		{"a closed window", func(_, other *end) error { return fill(other) }, nil},
		{"a window that has been closed for long", func(_, other *end) error {
			defer time.Sleep(2 * keepalive) // the kernel waits longer and longer between two probes
			return fill(other)
		}, nil},
		{"an end of stream that it doesn't acknowledge", nil, func(_, other *end) error { return other.CloseWrite() }},
		{"its stream has ended", func(far, other *end) error { return errors.Join(far.CloseWrite(), receiveEnd(other)) },
			func(_, other *end) error { return send(other, 1000) }},
		{"its stream was reset unheard", nil, func(far, other *end) error { far.reset(); return send(other, 1000) }},
	}
	for i, test := range tests {
		for j, who := range []string{byPeer, byTarget} {
			m := newMachine(t, 2*i+j)
			t.Run(test.name+"/"+who, func(t *testing.T) {
				t.Parallel()
				far, other, r := m.open(t, who, keepalive)
				if test.before != nil {
					check(t, test.before(far, other))
				}
				m.vanish(t)
				vanished := time.Now()
				if test.after != nil {
					check(t, test.after(far, other))
				}
				rec := r.logs.expect(t, 0, slog.LevelInfo, "connection interrupted", who, strings.Replace(vanishedPeer, byPeer, who, 1))
				// The kernel by itself gives up after 14 seconds. Before Linux 6.15, that can
				// take many minutes.
				if took := rec.time.Sub(vanished); took > 10*keepalive {
					t.Errorf("found after %v", took)
				}
			})
		}
	}
	// What the side sent and our kernel received still arrives, though the side vanished
	// while the other one read nothing.
	ways := map[string]func(other *end) error{
		"keepalive finds it":             func(*end) error { return nil },
		"bytes that wait for it find it": func(other *end) error { return send(other, 1000) },
	}
	n := 2 * len(tests)
	for how, find := range ways {
		for _, who := range []string{byPeer, byTarget} {
			n++
			m := newMachine(t, n)
			t.Run("all had come/"+how+"/"+who, func(t *testing.T) {
				t.Parallel()
				const n = 16 << 20
				far, other, _ := m.open(t, who, keepalive)
				sent := make(chan error, 1)
				go func() { sent <- errors.Join(send(far, n), far.CloseWrite()) }()
				vanished := false
				check(t, receiveAll(readerFunc(func(b []byte) (int, error) {
					if !vanished && len(sent) == 1 && unacknowledged(far.tcp) == 0 {
						vanished = true
						m.vanish(t)
						check(t, <-sent, find(other))
						time.Sleep(6 * keepalive)
					} else if !vanished {
						time.Sleep(time.Millisecond) // otherwise the tunnel would already have passed on everything
					}
					return other.Read(b)
				}), n))
				if !vanished {
					t.Error("all had been passed on before")
				}
			})
		}
	}
	for j, who := range []string{byPeer, byTarget} {
		m := newMachine(t, n+1+j)
		t.Run("slow, but alive/"+who, func(t *testing.T) {
			t.Parallel()
			far, other, _ := m.open(t, who, keepalive)
			const n = 16 << 20
			sent := make(chan error, 1)
			go func() { sent <- errors.Join(send(other, n), other.CloseWrite()) }()
			time.Sleep(4 * keepalive) // its window is closed meanwhile, and it answers the probes
			check(t, receiveAll(far, n), <-sent, far.CloseWrite(), receiveEnd(other))
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

const inOwnNetwork = "TLSTUNNEL_TEST_IN_OWN_NETWORK"

// runInOwnNetwork runs the test in a process of its own. That process has a network of its
// own, and root's rights there.
func runInOwnNetwork(t *testing.T) {
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.parallel=99")
	c.Env = append(os.Environ(), inOwnNetwork+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	out, err := c.CombinedOutput()
	var failed *exec.ExitError
	switch {
	case err == nil:
		t.Logf("%s", out)
	case errors.As(err, &failed):
		t.Errorf("%v\n%s", err, out)
	case os.Getenv("TLSTUNNEL_REQUIRE_INTEROP") == "1":
		t.Fatal(err)
	default:
		t.Skip("this user can make no network: ", err)
	}
}

// machine is a machine at the other end of a cable: a thread of this process in a network
// namespace of its own.
type machine struct {
	here, there string // addresses
	link        string
	do          chan func()
}

func newMachine(t *testing.T, n int) *machine {
	t.Helper()
	m := &machine{
		here:  fmt.Sprintf("10.9.%d.1", n),
		there: fmt.Sprintf("10.9.%d.2", n),
		link:  fmt.Sprintf("far%d", n),
		do:    make(chan func()),
	}
	thread := make(chan int)
	go m.live(thread)
	t.Cleanup(func() { close(m.do) })
	tid := <-thread
	if tid == 0 {
		t.Fatal("no other network")
	}
	near := fmt.Sprintf("near%d", n)
	check(t,
		run("link", "add", near, "type", "veth", "peer", "name", m.link, "netns", fmt.Sprint(tid)),
		run("addr", "add", m.here+"/24", "dev", near),
		run("link", "set", near, "up"),
		m.run("addr", "add", m.there+"/24", "dev", m.link),
		m.run("link", "set", m.link, "up"))
	return m
}

// live makes this thread a machine, until the test ends.
func (m *machine) live(thread chan<- int) {
	runtime.LockOSThread() // for good: the thread ends with it
	if unix.Unshare(unix.CLONE_NEWNET) != nil {
		thread <- 0
		return
	}
	thread <- unix.Gettid()
	for f := range m.do {
		f()
	}
}

// on runs f on the machine.
func (m *machine) on(f func() error) error {
	err := make(chan error)
	m.do <- func() { err <- f() }
	return <-err
}

func (m *machine) run(args ...string) error {
	return m.on(func() error { return run(args...) })
}

func run(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// vanish makes all that the machine sends disappear.
func (m *machine) vanish(t *testing.T) {
	t.Helper()
	check(t, m.run("route", "add", "blackhole", m.here+"/32"))
}

// open makes a connection through a tunnel in server mode. far is the end that who names, and
// it is on the machine.
func (m *machine) open(t *testing.T, who string, keepalive time.Duration) (far, other *end, r *running) {
	t.Helper()
	listenAt := func(ip string) (l net.Listener, err error) { return net.Listen("tcp", ip+":0") }
	front, err := listenAt(m.here)
	check(t, err)
	var targets net.Listener
	check(t, m.on(func() (err error) { targets, err = listenAt(m.there); return err }))
	if who == byPeer {
		targets.Close()
		targets = listen(t)
	}
	t.Cleanup(func() { targets.Close() })
	r = startOn(t, front, Settings{Front: serverTLS(), Targets: []Target{{Address: targets.Addr().String()}}, Keepalive: keepalive})
	var peer *end
	dialPeer := func() (err error) { peer, err = dial(r.addr); return err }
	if who == byPeer {
		err = m.on(dialPeer)
	} else {
		err = dialPeer()
	}
	check(t, err, peer.secure(tls.Client, clientTLS()))
	t.Cleanup(func() { peer.tcp.Close() })
	accepted, err := targets.Accept()
	check(t, err)
	target := newEnd(accepted)
	t.Cleanup(func() { target.tcp.Close() })
	check(t, exchange(peer, target))
	if who == byPeer {
		return peer, target, r
	}
	return target, peer, r
}
