package tunnel

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"slices"
	"time"
)

// ticketLife is how long after a full handshake its session can be resumed, however often it is
// used meanwhile. crypto/tls has 7 days for that, and says so to clients of TLS 1.3: they
// may come later, and then make a full handshake.
const ticketLife = 24 * time.Hour

// stampName begins the part of a session's Extra that has the time of the full handshake.
// A session of TLS 1.3 that is resumed gets a new ticket, with the stamp of the old one.
var stampName = []byte("tlstunnel session began at ")

func newStamp(now time.Time) []byte {
	return binary.BigEndian.AppendUint64(bytes.Clone(stampName), uint64(now.Unix()))
}

// stampOf is nil if session has none.
func stampOf(session *tls.SessionState) []byte {
	for _, extra := range session.Extra {
		if bytes.HasPrefix(extra, stampName) && len(extra) == len(stampName)+8 {
			return extra
		}
	}
	return nil
}

// freshStamp is the stamp of a session that began less than ticketLife ago, or nil.
func freshStamp(session *tls.SessionState, now time.Time) []byte {
	stamp := stampOf(session)
	if stamp == nil {
		return nil
	}
	age := now.Sub(time.Unix(int64(binary.BigEndian.Uint64(stamp[len(stampName):])), 0))
	if age <= -time.Minute || age >= ticketLife { // the clock may have been set back a little
		return nil
	}
	return stamp
}

// limitTickets makes config, of a server that is complete, take tickets for ticketLife.
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
		// crypto/tls doesn't tell from which ticket a new one comes.
		one := config.Clone()
		tickets.serveOne(one)
		return one, nil
	}
}

// tickets makes and takes those of a server.
type tickets struct {
	keys *tls.Config
	now  func() time.Time
}

// serve is for connections that are no resumption of TLS 1.3.
func (t *tickets) serve(config *tls.Config) {
	config.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		if state.DidResume && state.Version == tls.VersionTLS12 {
			// It would have the old secret, for another day. An empty ticket says
			// that there is none (RFC 5077, section 3.3): the old one may go on.
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
	var began []byte // the stamp of the last one that was unwrapped: that is resumed, if any is
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

// unwrap gives nil for what can't be resumed: a full handshake does.
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

// limitSessions makes config, of one connection of a client, resume sessions for ticketLife.
func limitSessions(config *tls.Config, now func() time.Time) {
	if config.ClientSessionCache != nil {
		config.ClientSessionCache = &freshSessions{ClientSessionCache: config.ClientSessionCache, now: now}
	}
}

// freshSessions is a cache, for one connection, whose sessions live for ticketLife.
type freshSessions struct {
	tls.ClientSessionCache
	now func() time.Time

	// began is the stamp of the session that was offered. If the server didn't take it, the
	// next one ends with it all the same: that is but a full handshake more.
	began []byte
}

func (c *freshSessions) Put(key string, cached *tls.ClientSessionState) {
	// A nil one means that crypto/tls removes what there is. An empty ticket says that
	// there is no new one: see tickets.
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
