package osservice

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/windows/svc"
)

// fakeManager plays the service control manager for one life of a handler. In svc.Run the
// handler would need a real service, which a test can't have.
type fakeManager struct {
	t        *testing.T
	requests chan svc.ChangeRequest
	changes  chan svc.Status
	exit     chan uint32
}

func newFakeManager(t *testing.T, serve Serve) fakeManager {
	m := fakeManager{t, make(chan svc.ChangeRequest), make(chan svc.Status), make(chan uint32, 1)}
	h := &scmHandler{serve: serve}
	go func() {
		specific, code := h.Execute(nil, m.requests, m.changes)
		if specific != (code != 0) || (h.err != nil) != (code != 0) {
			t.Errorf("specific %v, code %d, error %v", specific, code, h.err)
		}
		m.exit <- code
	}()
	return m
}

// status is the next status that the handler reports.
func (m fakeManager) status() svc.Status {
	m.t.Helper()
	select {
	case s := <-m.changes:
		return s
	case <-time.After(5 * time.Second):
		m.t.Fatal("the handler says nothing")
		return svc.Status{}
	}
}

func (m fakeManager) control(c svc.Cmd) {
	m.t.Helper()
	select {
	case m.requests <- svc.ChangeRequest{Cmd: c}:
	case <-time.After(5 * time.Second):
		m.t.Fatalf("control %d isn't taken", c)
	}
}

func (m fakeManager) wantExit(want uint32) {
	m.t.Helper()
	select {
	case code := <-m.exit:
		if code != want {
			m.t.Errorf("exit code %d, want %d", code, want)
		}
	case <-time.After(5 * time.Second):
		m.t.Fatal("the handler doesn't end")
	}
}

// TestLife: a slow start and a slow stop. The handler answers during both.
func TestLife(t *testing.T) {
	start, end := make(chan struct{}), make(chan struct{})
	asked := make(chan string)
	m := newFakeManager(t, func(ctx context.Context, ready func(), reload <-chan string) error {
		<-start
		ready()
		asked <- <-reload
		asked <- <-reload
		<-ctx.Done()
		<-end
		return nil
	})
	first := m.status()
	if first.State != svc.StartPending || first.WaitHint < uint32(checkpointEvery/time.Millisecond) {
		t.Errorf("first %+v", first)
	}
	m.control(svc.Interrogate)
	if s := m.status(); s != first {
		t.Errorf("asked while starting: %+v", s)
	}
	if s := m.status(); s.State != svc.StartPending || s.CheckPoint != first.CheckPoint+1 {
		t.Errorf("a checkpoint later: %+v", s)
	}
	close(start)
	if s := m.status(); s != (svc.Status{State: svc.Running, Accepts: accepted}) {
		t.Errorf("started: %+v", s)
	}
	for control, want := range map[svc.Cmd]string{svc.ParamChange: "service control 6", 128: "service control 128"} {
		m.control(control)
		if got := <-asked; got != want {
			t.Errorf("asked for a reload by %q, want %q", got, want)
		}
	}
	m.control(svc.PreShutdown)
	stopping := m.status()
	if stopping.State != svc.StopPending || stopping.Accepts != 0 {
		t.Errorf("stopping: %+v", stopping)
	}
	if s := m.status(); s.State != svc.StopPending || s.CheckPoint != stopping.CheckPoint+1 {
		t.Errorf("a checkpoint later: %+v", s)
	}
	m.control(svc.Stop) // the shutdown goes on
	if s := m.status(); s.CheckPoint < stopping.CheckPoint+1 {
		t.Errorf("stopped twice: %+v", s)
	}
	close(end)
	m.wantExit(0)
}

// TestExitCodes: the recovery actions of Windows depend on the exit code alone.
func TestExitCodes(t *testing.T) {
	broken := errors.New("broken")
	m := newFakeManager(t, func(context.Context, func(), <-chan string) error { return broken })
	m.status()
	m.wantExit(exitNotStarted)

	m = newFakeManager(t, func(_ context.Context, ready func(), reload <-chan string) error {
		ready()
		<-reload
		return broken
	})
	m.status()
	m.status()
	m.control(reloadControl)
	m.wantExit(exitEnded)
}
