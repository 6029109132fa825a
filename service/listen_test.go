package service

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// TestWildcards: 0.0.0.0 is IPv4 alone, [::] is IPv6 alone, and an address without a host is
// both.
func TestWildcards(t *testing.T) {
	if l, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		t.Skip("no IPv6 here:", err)
	} else {
		l.Close()
	}
	for _, tt := range []struct {
		host   string
		v4, v6 bool
	}{{"0.0.0.0", true, false}, {"[::]", false, true}, {"", true, true}} {
		t.Run(tt.host, func(t *testing.T) {
			s := startService(t, serverTunnel("a", tt.host+":0", greeter(t, "one"), ""))
			_, port, _ := net.SplitHostPort(s.Addr("a").String())
			v4 := "127.0.0.1"
			if !tt.v4 {
				v4 = "127.9.8.7" // tests that run beside this one may have the port at 127.0.0.1
			}
			for host, want := range map[string]bool{v4: tt.v4, "::1": tt.v6} {
				c, err := net.Dial("tcp", net.JoinHostPort(host, port))
				if err == nil {
					c.Close()
				}
				if (err == nil) != want {
					t.Errorf("dialling %s: %v", host, err)
				}
			}
			asked := tt.host + ":" + port
			s.log.Await(t, "msg=listening tunnel=a mode=server listen="+asked)
			if got := s.Status().Tunnels[0].Listen; got != asked {
				t.Errorf("status has %q, want %q", got, asked)
			}
			if strings.Contains(s.log.String(), "systemd") {
				t.Error(s.log)
			}
		})
	}
}

// TestBothWildcards: two tunnels, one for each version of IP, share a port.
func TestBothWildcards(t *testing.T) {
	l, err := net.Listen("tcp", ":0")
	check(t, err)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	for _, other := range []string{"[::]", "[::1]"} {
		if l, err := net.Listen("tcp6", other+":0"); err != nil {
			t.Skip("no IPv6 here:", err)
		} else {
			l.Close()
		}
		s := startService(t, serverTunnel("a", "0.0.0.0:"+port, greeter(t, "one"), "")+serverTunnel("b", other+":"+port, greeter(t, "two"), ""))
		for _, tunnel := range []string{"a", "b"} {
			if s.Addr(tunnel) == nil {
				t.Fatalf("%s doesn't listen beside %s:\n%s", tunnel, other, s.log)
			}
		}
		s.Stop()
	}
}

func TestListenText(t *testing.T) {
	tcp := func(text string) net.Addr {
		addr, err := net.ResolveTCPAddr("tcp", text)
		check(t, err)
		return addr
	}
	for _, tt := range []struct{ asked, bound, want string }{
		{":2762", "[::]:2762", ":2762"},
		{":0", "[::]:2762", ":2762"},
		{"[::]:2762", "[::]:2762", "[::]:2762"},
		{"0.0.0.0:2762", "0.0.0.0:2762", "0.0.0.0:2762"},
		{"localhost:2762", "127.0.0.1:2762", "localhost:2762"},
		{"127.0.0.1:0", "127.0.0.1:2762", "127.0.0.1:2762"},
		{"[::ffff:127.0.0.1]:2762", "127.0.0.1:2762", "[::ffff:127.0.0.1]:2762"},
		// A socket that systemd has opened.
		{"0.0.0.0:2762", "[::]:2762", "[::]:2762"},
		{"127.0.0.1:2762", "0.0.0.0:2762", "0.0.0.0:2762"},
		{":2762", "[::]:2763", "[::]:2763"},
	} {
		if got := listenText(tt.asked, tcp(tt.bound)); got != tt.want {
			t.Errorf("%v: got %q", fmt.Sprint(tt), got)
		}
	}
}
