package tunnel

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"
)

// TestTicketLife: a session can be resumed for a day after the full handshake, however often
// it is resumed. That holds for what a server accepts and for what a client remembers.
func TestTicketLife(t *testing.T) {
	leakCheck(t)
	long := testCA().Issue(serverName, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(90 * 24 * time.Hour) }).TLS()
	type step struct {
		after   time.Duration // since the one before
		resumed bool
	}
	const minute, hour = time.Minute, time.Hour
	for _, tt := range []struct {
		name    string
		version uint16
		client  bool // the client checks the time
		steps   []step
	}{
		{"TLS 1.3", tls.VersionTLS13, false, []step{{0, false}, {24*hour - minute, true}, {24 * hour, false}, {hour, true}}},
		{"TLS 1.3, used meanwhile", tls.VersionTLS13, false, []step{{0, false}, {23 * hour, true}, {hour - minute, true}, {minute, false}, {23 * hour, true}, {hour, false}}},
		{"TLS 1.3 client, used meanwhile", tls.VersionTLS13, true, []step{{0, false}, {23 * hour, true}, {hour - minute, true}, {minute, false}, {23 * hour, true}, {hour, false}}},
		{"TLS 1.2", tls.VersionTLS12, false, []step{{0, false}, {23 * hour, true}, {hour, false}, {hour, true}}},
		{"TLS 1.3 client", tls.VersionTLS13, true, []step{{0, false}, {24*hour - minute, true}, {24 * hour, false}, {hour, true}}},
		{"TLS 1.2 client", tls.VersionTLS12, true, []step{{0, false}, {24*hour - minute, true}, {24 * hour, false}, {hour, true}}},
		{"clock set back", tls.VersionTLS13, false, []step{{0, false}, {-hour, false}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Now()
			clock := func() time.Time { return now }
			server, client := serverTLS(), clientTLS()
			server.Certificates[0], server.MaxVersion = long, tt.version
			client.ClientSessionCache = tls.NewLRUClientSessionCache(0)
			if !tt.client {
				limitTickets(server, clock)
			}
			for i, step := range tt.steps {
				now = now.Add(step.after)
				one := client.Clone()
				if tt.client {
					limitSessions(one, clock)
				}
				if got := resumes(t, server, one); got != step.resumed {
					t.Errorf("connection %d: resumed is %v", i+1, got)
				}
			}
		})
	}
}

// TestTicketLifeAfterRefusal: if the server doesn't accept a session, the client makes a new
// one, whose day begins then.
func TestTicketLifeAfterRefusal(t *testing.T) {
	leakCheck(t)
	now := time.Now()
	clock := func() time.Time { return now }
	server, client := serverTLS(), clientTLS()
	client.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	limitTickets(server, clock)
	if resumes(t, server, client) || !resumes(t, server, client) {
		t.Fatal("a session isn't resumed")
	}
	now = now.Add(23 * time.Hour)
	server = serverTLS() // with new keys, as after a restart
	limitTickets(server, clock)
	if resumes(t, server, client) {
		t.Fatal("a ticket of other keys was taken")
	}
	now = now.Add(23 * time.Hour)
	if !resumes(t, server, client) {
		t.Error("the session isn't good for a day")
	}
}

// resumes makes a connection and tells whether it resumed a session.
func resumes(t *testing.T, server, client *tls.Config) bool {
	t.Helper()
	theirs, tcp := connect(t)
	ours := newEnd(tcp)
	defer theirs.tcp.Close()
	defer ours.tcp.Close()
	check(t, together(
		func() error { return ours.secure(tls.Server, server) },
		func() error { return theirs.secure(tls.Client, client) }))
	check(t, exchange(ours, theirs)) // the ticket of TLS 1.3 comes with the first bytes
	return theirs.stream.(*tls.Conn).ConnectionState().DidResume
}
