// Peer is both ends of a tunnel pair in the tests of the packages: the program behind it
// and the program in front of it.
//
//	peer echo ADDRESS          sends back what it gets
//	peer send ADDRESS BYTES    sends so many random bytes and expects them back
//	peer stream ADDRESS        sends and expects them back until SIGTERM, on one
//	                           long connection and many short ones beside it
//
// It exits 1 when a byte is missing or different.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("peer: ")
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "echo":
		return echo(args[1])
	case len(args) == 3 && args[0] == "send":
		bytes, err := strconv.ParseInt(args[2], 10, 64)
		if err != nil {
			return err
		}
		n, err := roundTrip(args[1], io.LimitReader(rand.Reader, bytes))
		if err != nil {
			return fmt.Errorf("after %d bytes: %w", n, err)
		}
		fmt.Printf("%d bytes came back unchanged\n", n)
		return nil
	case len(args) == 2 && args[0] == "stream":
		return stream(args[1])
	}
	return errors.New("usage: peer echo ADDRESS | send ADDRESS BYTES | stream ADDRESS")
}

func echo(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	}
}

// stream keeps a long connection busy, and makes short connections meanwhile.
func stream(address string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	type result struct {
		n   int64
		err error
	}
	long := make(chan result, 1)
	go func() {
		n, err := roundTrip(address, until{ctx, rand.Reader})
		long <- result{n, err}
	}()
	short := 0
	for ; ctx.Err() == nil; short++ {
		if n, err := roundTrip(address, io.LimitReader(rand.Reader, 64<<10)); err != nil {
			return fmt.Errorf("short connection %d, after %d bytes: %w", short+1, n, err)
		}
	}
	r := <-long
	if r.err != nil {
		return fmt.Errorf("long connection, after %d bytes: %w", r.n, r.err)
	}
	fmt.Printf("%d bytes came back unchanged on one connection, and %d connections beside it were whole\n", r.n, short)
	return nil
}

// until reads from the reader until ctx is done.
type until struct {
	ctx context.Context
	io.Reader
}

func (u until) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, io.EOF
	}
	return u.Reader.Read(p)
}

// roundTrip sends what src gives, ends the stream, and reads until the other side has
// ended it too. It returns how many bytes came back, and an error if they differ from the
// bytes sent.
func roundTrip(address string, src io.Reader) (int64, error) {
	c, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	sent := sha256.New()
	sending := make(chan error, 1)
	go func() {
		_, err := io.Copy(c, io.TeeReader(src, sent))
		sending <- errors.Join(err, c.(*net.TCPConn).CloseWrite())
	}()
	got := sha256.New()
	n, err := io.Copy(got, c)
	if err := errors.Join(err, <-sending); err != nil {
		return n, err
	}
	if [sha256.Size]byte(got.Sum(nil)) != [sha256.Size]byte(sent.Sum(nil)) {
		return n, errors.New("other bytes came back than were sent")
	}
	return n, nil
}
