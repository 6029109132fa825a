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

// headStart is what an address of a name gets before the next one is tried beside it.
// It is what RFC 8305 (Happy Eyeballs), section 5, says, rounded up as package net has it.
const headStart = 300 * time.Millisecond

// resolve finds the addresses of target, in the order in which to try them: as the
// resolver has them, but those that failed of late last. A failure is forgotten with
// the address.
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
		known.Set(nil) // the target itself says whether it is down
		return addresses, nil
	}
	known.Set(addresses)
	return pool.Order(known, addresses, func(address string) string { return address }), nil
}

// slow is why an address of a name is down that another one was faster than.
var slow = diagnose.New("target.slow_address")

// An attempt is what came of one address.
type attempt struct {
	index int
	conn  net.Conn
	err   error
}

// dialFirst connects to the first of the addresses that answers. The next one is tried
// when the one before has failed, or hasn't answered within headStart. It notes those
// that were tried in vain.
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
			case won.conn != nil: // it had no time
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
		return nil, cmp.Or(firstErr, ctx.Err()) // which ends what hasn't begun
	}
	return sock.New(won.conn)
}

// dialOnly is dialFirst for one address: most targets have no more, and a goroutine costs
// as much as all else that is done here.
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

// whyDown is why an address can't be reached. How long it was waited for depends on
// the other addresses.
func whyDown(err error) *ending {
	if diagnose.IsTimeout(err) {
		return &ending{dialFailed, slow, err}
	}
	return explainDial(err)
}
