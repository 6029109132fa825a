package tunnel

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"slices"
	"time"
)

// ticketLife is how long after a full handshake its session can be resumed, even if it is used
// often. The limit of crypto/tls is 7 days, which it also announces to TLS 1.3 clients. A client
// that comes later than ticketLife makes a full handshake.
const ticketLife = 24 * time.Hour

// stampName is the prefix of our entry in a session's Extra. The entry, the stamp, has the time
// of the full handshake. A resumed TLS 1.3 session gets a new ticket with the old stamp.
var stampName = []byte("tlstunnel session began at ")

func newStamp(now time.Time) []byte {
	return binary.BigEndian.AppendUint64(bytes.Clone(stampName), uint64(now.Unix()))
}

// stampOf returns the stamp of session, or nil.
func stampOf(session *tls.SessionState) []byte {
	for _, extra := range session.Extra {
		if bytes.HasPrefix(extra, stampName) && len(extra) == len(stampName)+8 {
			return extra
		}
	}
	return nil
}

// freshStamp returns the stamp of session if it began less than ticketLife ago, otherwise nil.
func freshStamp(session *tls.SessionState, now time.Time) []byte {
	stamp := stampOf(session)
	if stamp == nil {
		return nil
	}
	age := now.Sub(time.Unix(int64(binary.BigEndian.Uint64(stamp[len(stampName):])), 0))
	if age <= -time.Minute || age >= ticketLife { // a minute: the clock may have been set back a little
		return nil
	}
	return stamp
}

// limitTickets makes the config of a server accept tickets for ticketLife. The config must be
// complete.
func limitTickets(config *tls.Config, now func() time.Time) {
	tickets := &tickets{keys: config, now: now}
	tickets.serve(config)
	get := config.GetConfigForClient
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if get != nil {
			if other, err := get(hello); other != nil || err != nil {
				return other, err
			}
		}
		if !slices.Contains(hello.Extensions, preSharedKey) {
			return nil, nil
		}
		// crypto/tls doesn't say which ticket a new one replaces, so note the stamps here.
		one := config.Clone()
		tickets.serveOne(one)
		return one, nil
	}
}

// tickets makes and reads the session tickets of a server.
type tickets struct {
	keys *tls.Config
	now  func() time.Time
}

// serve is for connections that are no resumption of TLS 1.3.
func (t *tickets) serve(config *tls.Config) {
	config.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		if state.DidResume && state.Version == tls.VersionTLS12 {
			// A new ticket would hold the old secret for another day. An empty ticket means
			// that there is no new one (RFC 5077, section 3.3): the client may keep the old one.
			return []byte{}, nil
		}
		return t.wrap(state, session, newStamp(t.now()))
	}
	config.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		session, _ := t.unwrap(ticket, state)
		return session, nil
	}
}

// serveOne is for a connection of TLS 1.3 that may resume a session.
func (t *tickets) serveOne(config *tls.Config) {
	var began []byte // the stamp of the last unwrapped ticket: crypto/tls resumes that one or none
	config.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (session *tls.SessionState, err error) {
		session, began = t.unwrap(ticket, state)
		return session, nil
	}
	config.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		if !state.DidResume {
			began = newStamp(t.now())
		}
		return t.wrap(state, session, began)
	}
}

func (t *tickets) wrap(state tls.ConnectionState, session *tls.SessionState, stamp []byte) ([]byte, error) {
	session.Extra = append(session.Extra, stamp)
	return t.keys.EncryptTicket(state, session)
}

// unwrap returns nil for a ticket that can't be resumed: a full handshake follows.
func (t *tickets) unwrap(ticket []byte, state tls.ConnectionState) (session *tls.SessionState, stamp []byte) {
	session, err := t.keys.DecryptTicket(ticket, state)
	if err != nil || session == nil {
		return nil, nil
	}
	if stamp = freshStamp(session, t.now()); stamp == nil {
		return nil, nil
	}
	return session, stamp
}

// limitSessions makes the config for one connection of a client resume sessions for ticketLife.
func limitSessions(config *tls.Config, now func() time.Time) {
	if config.ClientSessionCache != nil {
		config.ClientSessionCache = &freshSessions{ClientSessionCache: config.ClientSessionCache, now: now}
	}
}

// freshSessions is a session cache for one connection. Its sessions live for ticketLife.
type freshSessions struct {
	tls.ClientSessionCache
	now func() time.Time

	// began is the stamp of the session that was offered. If the server refused it, the next
	// session gets this stamp too, and ends earlier: that costs only one more full handshake.
	began []byte
}

func (c *freshSessions) Put(key string, cached *tls.ClientSessionState) {
	// With nil, crypto/tls removes the session. An empty ticket means that there is no new one:
	// see tickets.
	ticket, session, err := cached.ResumptionState()
	if err == nil && session != nil {
		if len(ticket) == 0 {
			return
		}
		if c.began == nil {
			c.began = newStamp(c.now())
		}
		session.Extra = append(session.Extra, c.began)
	}
	c.ClientSessionCache.Put(key, cached)
}

func (c *freshSessions) Get(key string) (*tls.ClientSessionState, bool) {
	cached, ok := c.ClientSessionCache.Get(key)
	_, session, err := cached.ResumptionState()
	if !ok || err != nil || session == nil {
		return nil, false
	}
	if c.began = freshStamp(session, c.now()); c.began == nil {
		return nil, false
	}
	return cached, true
}
