package tunnel

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"
)

// TestTicketLife: a ticket is good for a day, in TLS 1.2 also if it is used meanwhile, and
// so is what a client remembers.
func TestTicketLife(t *testing.T) {
	leakCheck(t)
	long := testCA().issue(serverName, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(90 * 24 * time.Hour) })
	type step struct {
		after   time.Duration // since the one before
		resumed bool
	}
	const minute, hour = time.Minute, time.Hour
	for _, tt := range []struct {
		name    string
		version uint16
		client  bool // it is the client that looks at the time
		steps   []step
	}{
		{"TLS 1.3", tls.VersionTLS13, false, []step{{0, false}, {24*hour - minute, true}, {24 * hour, false}, {hour, true}}},
		{"TLS 1.3, used meanwhile", tls.VersionTLS13, false, []step{{0, false}, {23 * hour, true}, {23 * hour, true}, {24 * hour, false}}},
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
			if tt.client {
				limitSessions(client, clock)
			} else {
				limitTickets(server, clock)
			}
			for i, step := range tt.steps {
				now = now.Add(step.after)
				if got := resumes(t, server, client); got != step.resumed {
					t.Errorf("connection %d: resumed is %v", i+1, got)
				}
			}
		})
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
