package tunnel

import (
	"context"
	"crypto/tls"
	"log/slog"
	"testing"
)

// closeBoth ends a connection from the peer's side and returns the n-th record in the log of
// the first tunnel.
func closeBoth(t testing.TB, p *path, n int, peer, target *end) record {
	t.Helper()
	check(t, peer.CloseWrite(), receiveEnd(target), target.CloseWrite(), receiveEnd(peer))
	return p.tunnels[0].logs.expect(t, n, slog.LevelInfo, "connection closed", byPeer, "end of stream")
}

func TestSessionIsLogged(t *testing.T) {
	tests := []struct {
		name string
		edit func(*tls.Config)
		want map[string]string
	}{
		{"default", nil, map[string]string{"tls": "TLS 1.3", "key_exchange": "X25519MLKEM768", "resumed": "false"}},
		{"TLS 1.2", func(c *tls.Config) {
			c.MaxVersion = tls.VersionTLS12
			c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}
			c.CurvePreferences = []tls.CurveID{tls.CurveP256}
		}, map[string]string{"tls": "TLS 1.2", "key_exchange": "CurveP256", "cipher": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"}},
	}
	for _, test := range tests {
		for _, mode := range modes[:2] {
			t.Run(test.name+"/"+mode, func(t *testing.T) {
				leakCheck(t)
				p := newPath(t, mode, func(s *Settings) {
					config := s.Front
					if config == nil {
						config = s.Targets[0].TLS
					}
					if test.edit != nil {
						test.edit(config)
					}
				})
				peer, target := p.open(t)
				rec := closeBoth(t, p, 0, peer, target)
				for key, want := range test.want {
					if rec.text(key) != want {
						t.Errorf("%s: got %q, want %q", key, rec.text(key), want)
					}
				}
				if rec.text("tunnel") != mode || rec.text("identity") != "" || rec.attrs["handshake"].Duration() <= 0 {
					t.Error(rec)
				}
			})
		}
	}
}

func TestResumption(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		leakCheck(t)
		p := newPath(t, "server", nil)
		config := clientTLS()
		config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
		for i, resumed := range []string{"false", "true"} {
			peer := mustDialTLS(t, p.tunnels[0].addr, config)
			target, err := p.accept()
			check(t, err)
			defer target.tcp.Close()
			check(t, exchange(peer, target)) // the ticket comes with the first bytes
			if rec := closeBoth(t, p, i, peer, target); rec.text("resumed") != resumed {
				t.Errorf("connection %d: %v", i, rec)
			}
		}
	})
	t.Run("client", func(t *testing.T) {
		leakCheck(t)
		p := newPath(t, "client", func(s *Settings) {
			s.Targets[0].TLS.ClientSessionCache = tls.NewLRUClientSessionCache(0)
		})
		config := serverTLS()
		for i, resumed := range []string{"false", "true"} {
			peer := mustDial(t, p.tunnels[0].addr)
			accepted, err := p.target.Accept()
			check(t, err)
			target := newEnd(accepted)
			defer target.tcp.Close()
			check(t, target.secure(tls.Server, config), exchange(peer, target))
			if rec := closeBoth(t, p, i, peer, target); rec.text("resumed") != resumed {
				t.Errorf("connection %d: %v", i, rec)
			}
		}
	})
}

// A reload makes a new tunnel, which has ticket keys of its own even if its config is the
// same. A session mustn't outlive the trust that it was made under.
func TestSessionEndsWithItsTunnel(t *testing.T) {
	leakCheck(t)
	front := serverTLS()
	config := clientTLS()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	for range 2 {
		p := newPath(t, "server", func(s *Settings) { s.Front = front })
		peer := mustDialTLS(t, p.tunnels[0].addr, config)
		target, err := p.accept()
		check(t, err)
		defer target.tcp.Close()
		check(t, exchange(peer, target))
		if rec := closeBoth(t, p, 0, peer, target); rec.text("resumed") != "false" {
			t.Error(rec)
		}
		check(t, p.tunnels[0].Shutdown(context.Background()))
	}
}
