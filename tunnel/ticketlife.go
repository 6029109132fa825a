package tunnel

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"time"
)

// ticketLife is how long a session can be resumed. crypto/tls has 7 days for that, and
// says so to clients of TLS 1.3: they may come later, and then make a full handshake. A
// session of TLS 1.3 that is resumed has a secret of its own, and its ticket another day.
const ticketLife = 24 * time.Hour

// stampName begins the part of a session's Extra that has the time when its ticket was
// made, which crypto/tls doesn't tell.
var stampName = []byte("tlstunnel ticket made at ")

func stamp(session *tls.SessionState, now time.Time) {
	session.Extra = append(session.Extra, binary.BigEndian.AppendUint64(bytes.Clone(stampName), uint64(now.Unix())))
}

// isFresh tells whether a session was stamped less than ticketLife ago.
func isFresh(session *tls.SessionState, now time.Time) bool {
	for _, extra := range session.Extra {
		if made, ok := bytes.CutPrefix(extra, stampName); ok && len(made) == 8 {
			age := now.Sub(time.Unix(int64(binary.BigEndian.Uint64(made)), 0))
			return -time.Minute < age && age < ticketLife // the clock may have been set back a little
		}
	}
	return false
}

// limitTickets makes config, of a server that is complete, take tickets for ticketLife.
func limitTickets(config *tls.Config, now func() time.Time) {
	config.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		if state.DidResume && state.Version == tls.VersionTLS12 {
			// It would have the old secret, for another day. An empty ticket says
			// that there is none (RFC 5077, section 3.3): the old one may go on.
			return []byte{}, nil
		}
		stamp(session, now())
		return config.EncryptTicket(state, session)
	}
	config.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		session, err := config.DecryptTicket(ticket, state)
		if err != nil || session == nil || !isFresh(session, now()) {
			return nil, nil // a full handshake does
		}
		return session, nil
	}
}

// limitSessions makes config, of a client, resume sessions for ticketLife.
func limitSessions(config *tls.Config, now func() time.Time) {
	if config.ClientSessionCache != nil {
		config.ClientSessionCache = freshSessions{config.ClientSessionCache, now}
	}
}

// freshSessions is a cache whose sessions live for ticketLife.
type freshSessions struct {
	tls.ClientSessionCache
	now func() time.Time
}

func (c freshSessions) Put(key string, cached *tls.ClientSessionState) {
	// A nil one means that crypto/tls removes what there is. An empty ticket says that
	// there is no new one: see limitTickets.
	ticket, session, err := cached.ResumptionState()
	if err == nil && session != nil {
		if len(ticket) == 0 {
			return
		}
		stamp(session, c.now())
	}
	c.ClientSessionCache.Put(key, cached)
}

func (c freshSessions) Get(key string) (*tls.ClientSessionState, bool) {
	cached, ok := c.ClientSessionCache.Get(key)
	_, session, err := cached.ResumptionState()
	if !ok || err != nil || session == nil || !isFresh(session, c.now()) {
		return nil, false
	}
	return cached, true
}
