package tunnel

import (
	"cmp"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tlstunnel/internal/diagnose"
	"tlstunnel/internal/sock"
)

// flow is one direction of a connection.
type flow struct {
	src, dst *side
	moved    *atomic.Int64 // bytes that dst has taken
	writing  atomic.Bool   // a write to dst is under way
	stage    atomic.Int32  // see stageOpen
	err      error         // why dst takes no more
	first    []byte        // its first bytes, a few
}

// The stages of a flow.
const (
	stageOpen   = iota // we haven't read the end of src's stream: there is none yet, or bytes before it
	stageEnding        // we have read it, and CloseWrite of dst is under way
	stageEnded         // CloseWrite of dst has succeeded
	stageFailed        // a write to dst, or its CloseWrite, has failed
)

// copy moves bytes until the end of src's stream. On an error it says which side
// failed. The error is errIdle if no byte was passed on for idleAfter.
func (f *flow) copy() (failed *side, err error) {
	for {
		_ = f.src.socket.SetReadDeadline(time.Now().Add(idleAfter))
		before := f.moved.Load()
		err = f.src.receive(f.pass)
		switch {
		case f.err != nil:
			return f.dst, f.err
		case err == io.EOF:
			return nil, nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return f.src, err
		case f.moved.Load() == before:
			return f.src, errIdle
		}
	}
}

// pass is a [sock.Consumer].
func (f *flow) pass(c *sock.Chunk, b []byte) (more bool) {
	if more := diagnose.AlertSize - len(f.first); more > 0 {
		f.first = append(f.first, b[:min(len(b), more)]...)
	}
	f.writing.Store(true)
	n, err := f.dst.Write(b)
	f.writing.Store(false)
	c.Release()
	f.moved.Add(int64(n))
	f.err = err
	return err == nil
}

// A direction keeps its goroutine, and so its stack, for idleAfter to twice idleAfter after
// its last bytes: a read deadline ends only the second period without a byte.
const idleAfter = 2 * time.Second

var errIdle = errors.New("nothing comes")

// relaying is what the two directions of a connection share.
type relaying struct {
	*conn
	tunnel   *Tunnel
	up, down flow
	running  atomic.Int32 // directions that haven't ended
	stall    *stall

	mu       sync.Mutex // guards what follows
	finished *side      // whose end of stream came first
	aborted  *ending
}

// relay moves bytes both ways, each at its own pace, until both directions have
// ended. Then it closes c. It doesn't wait for that.
func (t *Tunnel) relay(c *conn) {
	r := &relaying{
		conn:   c,
		tunnel: t,
		up:     flow{src: c.front, dst: c.back, moved: &c.toBack},
		down:   flow{src: c.back, dst: c.front, moved: &c.toFront},
	}
	r.running.Store(2)
	c.front.socket.FeedsInto(c.back.socket)
	c.back.socket.FeedsInto(c.front.socket)
	r.stall = watchStall(c, func(code string) { r.abort(&ending{interrupted, diagnose.New(code), nil}) })
	r.stall.setLimit(c.settings.IdleTimeout, "tlstunnel.idle")
	t.beginRelay(r)
	go r.run(&r.up)
	r.run(&r.down)
}

// run moves the bytes of one direction. The other goes on after it for as long
// as it makes progress.
func (r *relaying) run(f *flow) {
	failed, err := f.copy()
	if err == errIdle {
		if f.src.tls != nil {
			f.src.tls.ReleaseBuffers()
		}
		// crypto/tls has made this goroutine's stack grow. Go shrinks a stack only at a
		// garbage collection, and only to a half. A new goroutine begins with a small one.
		go r.await(f)
		return
	}
	r.end(f, failed, err)
	if r.running.Add(-1) == 0 {
		r.stall.stop()
		r.tunnel.close(r.conn, r.ending())
	}
}

// await goes on with f once something comes.
func (r *relaying) await(f *flow) {
	f.src.socket.Await()
	r.run(f)
}

// end passes on how one direction ended, so that the other can still do what is
// left to do.
func (r *relaying) end(f *flow, failed *side, err error) {
	switch failed {
	case nil:
		r.mu.Lock()
		if r.finished == nil {
			r.finished = f.src
		}
		r.mu.Unlock()
		f.stage.Store(stageEnding)
		r.limitHalfClose() // before CloseWrite, which can block for as long as a write
		if f.dst.CloseWrite() == nil {
			f.stage.Store(stageEnded)
		} else { // the other direction, which reads from dst, finds the error too
			f.stage.Store(stageFailed)
		}
	case f.dst:
		// It may have answered before it went: the other direction reads on.
		f.stage.Store(stageFailed)
		r.lose(f.dst, explainRelay(f.dst, err))
		r.discard(f)
	default:
		r.abort(explainRelay(f.src, err))
	}
}

func (r *relaying) limitHalfClose() {
	r.stall.setLimit(r.settings.HalfCloseTimeout, "tlstunnel.half_close")
}

// abort ends both directions at once. The first call says why.
func (r *relaying) abort(why *ending) {
	r.mu.Lock()
	if r.aborted == nil {
		r.aborted = why
	}
	r.mu.Unlock()
	// Close waits until no Receive runs a callback. That callback may be blocked in a write
	// to the other side. So both writes fail first.
	_ = r.front.socket.SetWriteDeadline(time.Unix(0, 0))
	_ = r.back.socket.SetWriteDeadline(time.Unix(0, 0))
	for _, s := range []*side{r.front, r.back} {
		if !s.rejected.Load() { // a rejected side must still be able to read our alert: see hangUp
			s.socket.Close()
		}
	}
}

// ending is how the connection ended, once both directions have. What a side
// said while it was read from explains more than a write to it that failed.
func (r *relaying) ending() *ending {
	r.mu.Lock()
	defer r.mu.Unlock()
	if end := cmp.Or(r.aborted, r.front.gone.Load(), r.back.gone.Load()); end != nil {
		return r.explainTarget(end)
	}
	return r.explainTarget(completion(r.finished))
}
