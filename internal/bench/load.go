package bench

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// dialer opens a connection that is ready for data.
type dialer func() (net.Conn, error)

// open opens n connections. All are closed, by a reset so that none stays in
// TIME_WAIT, when the returned function is called.
func (d dialer) open(n int) (conns []net.Conn, closeAll func(), err error) {
	closeAll = func() {
		for _, c := range conns {
			reset(c)
		}
	}
	for range n {
		c, err := d()
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		conns = append(conns, c)
	}
	return conns, closeAll, nil
}

func reset(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	_ = c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// patience is how long a load may wait for its first result on a slow machine.
const patience = 30 * time.Second

// rate returns by how much count grows in a second. It doesn't measure the first part of d, in
// which the load starts.
func (s *subject) rate(d time.Duration, count *atomic.Int64) (float64, error) {
	s.pause(d / 4)
	before, start := count.Load(), time.Now()
	s.pause(d - d/4)
	for count.Load() == before && !s.ended() {
		if time.Since(start) > patience {
			return 0, fmt.Errorf("nothing came through in %v", patience)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if s.ended() {
		return 0, errors.New("the service has ended")
	}
	return float64(count.Load()-before) / time.Since(start).Seconds(), nil
}

// stream reads from n connections to the source. It returns MB/s.
func stream(s *subject, dial dialer, n int, d time.Duration) (float64, error) {
	conns, closeAll, err := dial.open(n)
	if err != nil {
		return 0, err
	}
	var received atomic.Int64
	var running sync.WaitGroup
	for _, c := range conns {
		running.Go(func() { receive(c, &received) })
	}
	bytes, err := s.rate(d, &received)
	closeAll()
	running.Wait()
	return bytes / 1e6, err
}

// streamUp writes to a connection to the sink, which counts. It returns MB/s.
func streamUp(s *subject, d time.Duration) (float64, error) {
	conns, closeAll, err := s.dialer("sink").open(1)
	if err != nil {
		return 0, err
	}
	var running sync.WaitGroup
	running.Go(func() { send(conns[0]) })
	bytes, err := s.rate(d, &s.sunk)
	closeAll()
	running.Wait()
	return bytes / 1e6, err
}

// connects opens connections one after the other, some at a time, each for a byte
// there and back. It returns how many a second.
func connects(s *subject, resume bool, d time.Duration) (float64, error) {
	var done atomic.Int64
	var stop atomic.Bool
	failed := make(chan error, 1)
	var running sync.WaitGroup
	for range 4 * runtime.NumCPU() {
		running.Go(func() {
			config := s.clientConfig()
			if resume {
				config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
			}
			for !stop.Load() {
				if err := connectOnce(s.addr["echo"], config); err != nil {
					select {
					case failed <- err:
					default:
					}
					return
				}
				done.Add(1)
			}
		})
	}
	r, err := s.rate(d, &done)
	stop.Store(true)
	running.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
		return r, err
	}
}

func connectOnce(addr string, config *tls.Config) error {
	c, err := tls.Dial("tcp", addr, config)
	if err != nil {
		return err
	}
	defer reset(c)
	return thereAndBack(c, make([]byte, 1))
}

// roundTrip is the median time of a message there and back, in µs.
func roundTrip(dial dialer, d time.Duration) (float64, error) {
	conns, closeAll, err := dial.open(1)
	if err != nil {
		return 0, err
	}
	defer closeAll()
	var took []time.Duration
	message := make([]byte, 1024)
	for end := time.Now().Add(d); ; {
		start := time.Now()
		if err := thereAndBack(conns[0], message); err != nil {
			return 0, err
		}
		took = append(took, time.Since(start))
		if start.After(end) {
			break
		}
	}
	slices.Sort(took)
	return float64(took[len(took)/2].Nanoseconds()) / 1e3, nil
}

func thereAndBack(c net.Conn, message []byte) error {
	if _, err := c.Write(message); err != nil {
		return err
	}
	_, err := io.ReadFull(c, message)
	return err
}

// idleConnections are enough to tell a connection's share from the rest.
const idleConnections = 1000

// idleMemory returns how many KiB the service holds for each idle connection that has moved a
// few bytes.
func idleMemory(s *subject, d time.Duration) (float64, error) {
	end := time.Now().Add(d)
	before, err := s.memory()
	if err != nil {
		return 0, err
	}
	conns, closeAll, err := s.dialer("echo").open(idleConnections)
	if err != nil {
		return 0, err
	}
	defer closeAll()
	for _, c := range conns {
		if err := thereAndBack(c, make([]byte, 1024)); err != nil {
			return 0, err
		}
	}
	s.pause(time.Until(end)) // after 6 seconds, the service has returned unneeded memory
	after, err := s.memory()
	return (after - before) / idleConnections / 1024, err
}
