package tunnel

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// flow is one direction of a connection.
type flow struct {
	src, dst *side
	moved    *atomic.Int64 // bytes that dst has taken
}

// copy moves bytes until src's end of stream. On an error it says which side
// failed.
func (f flow) copy() (failed *side, err error) {
	for {
		c, n, readErr := f.src.receive()
		if n > 0 {
			n, err := f.dst.Write(c[:n])
			chunks.Put(c)
			f.moved.Add(int64(n))
			if err != nil {
				return f.dst, err
			}
		}
		if readErr == io.EOF {
			return nil, nil
		}
		if readErr != nil {
			return f.src, readErr
		}
	}
}

// relaying is what the two directions of a connection share.
type relaying struct {
	*conn
	stall     *stall
	halfClose time.Duration

	mu       sync.Mutex // guards what follows
	finished *side      // whose end of stream came first
	deaf     *ending    // a side that took no more bytes
	aborted  *ending
}

// relay moves bytes both ways, each at its own pace, until both directions have
// ended.
func (t *Tunnel) relay(c *conn) *ending {
	r := &relaying{conn: c, halfClose: c.settings.HalfCloseTimeout}
	r.stall = watchStall(c, func(reason string) { r.abort(interruption(byTunnel, reason, nil)) })
	defer r.stall.stop()
	r.stall.setLimit(c.settings.IdleTimeout, "no progress for idle_timeout")
	defer context.AfterFunc(t.relays, func() {
		t.cutShort.Store(true)
		r.abort(interruption(byTunnel, "shutdown_grace is over", nil))
	})()

	defer t.watchRevocation(r)()

	var up sync.WaitGroup
	up.Go(func() { r.run(flow{src: c.front, dst: c.back, moved: &c.toBack}) })
	r.run(flow{src: c.back, dst: c.front, moved: &c.toFront})
	up.Wait()
	return r.ending()
}

// run moves the bytes of one direction. The other goes on after it for as long
// as it makes progress.
func (r *relaying) run(f flow) {
	failed, err := f.copy()
	// First, for to pass on the end can take as long as to pass on the bytes.
	r.stall.setLimit(r.halfClose, "no progress for half_close_timeout after one side had ended")
	r.end(f, failed, err)
}

// end passes on how one direction ended, so that the other can still do what is
// left to do.
func (r *relaying) end(f flow, failed *side, err error) {
	switch failed {
	case nil:
		r.mu.Lock()
		if r.finished == nil {
			r.finished = f.src
		}
		r.mu.Unlock()
		// An error is of no interest: if dst is gone, reading it says so.
		_ = f.dst.CloseWrite()
	case f.dst:
		// It may have answered before it went: the other direction reads on.
		r.mu.Lock()
		r.deaf = explainRelay(f.dst, err)
		r.mu.Unlock()
	default:
		end := explainRelay(f.src, err)
		if f.src == r.back && f.moved.Load() == 0 && isGone(err) {
			end.level = slog.LevelWarn
			end.reason += " before it had sent a byte: its own log knows why; if it is a tlstunnel, is the program behind that one running?"
		}
		r.abort(end)
	}
}

// abort ends both directions at once. The first call says why.
func (r *relaying) abort(why *ending) {
	r.mu.Lock()
	if r.aborted == nil {
		r.aborted = why
	}
	r.mu.Unlock()
	r.front.reset()
	r.back.reset()
}

// ending is how the connection ended, once both directions have. What a side
// said while it was read from explains more than a write to it that failed.
func (r *relaying) ending() *ending {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.aborted != nil:
		return r.aborted
	case r.deaf != nil:
		return r.deaf
	default:
		return completion(r.finished)
	}
}
