package tunnel

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"time"

	"tlstunnel/internal/diagnose"
	"tlstunnel/internal/sock"
	"tlstunnel/tunnel/pool"
)

// headStart is how long an address of a name is tried alone, before the next one is tried beside
// it. RFC 8305 (Happy Eyeballs), section 5, says 250 ms; package net rounds it up too.
const headStart = 300 * time.Millisecond

// resolve returns the addresses of target in the order in which to try them: the order of the
// resolver, but addresses that failed lately come last. If the name loses an address, its
// failure is forgotten.
func (s *settings) resolve(ctx context.Context, target Target) ([]string, error) {
	host, port, err := net.SplitHostPort(target.Address)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return []string{target.Address}, nil
	}
	ips, err := s.dialer.Resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	addresses := make([]string, len(ips))
	for i, ip := range ips {
		addresses[i] = net.JoinHostPort(ip.Unmap().String(), port)
	}
	known := s.addresses[target.Address]
	if len(addresses) == 1 {
		known.Set(nil) // with one address, the state of the target is enough
		return addresses, nil
	}
	known.Set(addresses)
	return pool.Order(known, addresses, func(address string) string { return address }), nil
}

// slow is the reason why an address is down that didn't answer before another one did.
var slow = diagnose.New("target.slow_address")

// An attempt is the result of dialling one address.
type attempt struct {
	index int
	conn  net.Conn
	err   error
}

// dialFirst connects to the first of the addresses that answers. It tries the next address if
// the one before has failed, or hasn't answered within headStart. It notes the failed ones.
func (c *conn) dialFirst(ctx context.Context, target Target, addresses []string) (*sock.Conn, error) {
	if len(addresses) == 1 {
		return c.dialOnly(ctx, target, addresses[0])
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	known, attempts, begun := c.settings.addresses[target.Address], make(chan attempt), 0
	next := time.NewTimer(headStart)
	defer next.Stop()
	begin := func() {
		if begun < len(addresses) && ctx.Err() == nil {
			go c.settings.dialAddress(ctx, addresses[begun], begun, attempts)
			begun++
			next.Reset(headStart)
		}
	}
	var won attempt
	var firstErr error
	begin()
	for ended := 0; ended < begun; {
		select {
		case <-next.C:
			begin()
		case a := <-attempts:
			ended++
			switch {
			case won.conn != nil && a.conn != nil:
				a.conn.Close()
			case won.conn != nil && a.index < won.index:
				known.Failed(addresses[a.index], slow.Code, slow.String())
			case won.conn != nil: // this attempt had no time to succeed
			case a.err == nil:
				won = a
				cancel()
			default:
				c.note(known, addresses[a.index], whyDown(a.err))
				firstErr = cmp.Or(firstErr, a.err)
				begin()
			}
		}
	}
	if won.conn == nil {
		return nil, cmp.Or(firstErr, ctx.Err()) // ctx may have ended before the first attempt
	}
	return sock.New(won.conn)
}

// dialOnly is dialFirst for one address. Most targets have only one, and a goroutine would cost
// as much as the rest of the work here.
func (c *conn) dialOnly(ctx context.Context, target Target, address string) (*sock.Conn, error) {
	conn, err := c.settings.dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		c.note(c.settings.addresses[target.Address], address, whyDown(err))
		return nil, err
	}
	return sock.New(conn)
}

func (s *settings) dialAddress(ctx context.Context, address string, index int, attempts chan<- attempt) {
	conn, err := s.dialer.DialContext(ctx, "tcp", address)
	attempts <- attempt{index, conn, err}
}

// whyDown returns why an address can't be reached. For a timeout it leaves out the time, which
// depends on the other addresses.
func whyDown(err error) *ending {
	if diagnose.IsTimeout(err) {
		return &ending{dialFailed, slow, err}
	}
	return explainDial(err)
}
