package osservice

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
)

const (
	// checkpointEvery is the time between two reports to the service control manager that a
	// start or a stop goes on. Without a new checkpoint within the wait hint it takes the
	// service for hung.
	checkpointEvery = time.Second
	waitHint        = 10 * time.Second

	// reloadControl is the first of the control codes that a service may define
	// for itself: `sc control tlstunnel 128`.
	reloadControl = svc.Cmd(128)

	accepted = svc.AcceptStop | svc.AcceptShutdown | svc.AcceptPreShutdown | svc.AcceptParamChange
)

// Service-specific exit codes, for `sc query` and event 7024 of the service control manager.
// It restarts the service because they aren't 0.
const (
	exitNotStarted = 1
	exitEnded      = 2 // the service ended by itself after it had run
)

// RunAsService first connects to the Windows service control manager, which started this
// process. It runs serve in a goroutine of its own; serve ends when ctx is done, calls ready
// once it serves, and gets the causes of reloads from reload. The error is that of serve, or
// says that the service control manager didn't answer.
func RunAsService(serve Serve) error {
	// We don't use Run of kardianos/service: it guesses whether it is a service, has no reload,
	// and sends no checkpoints while it starts and stops.
	h := &scmHandler{serve: serve}
	err := svc.Run(Name, h)
	if errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
		return errors.New("--as-service is for the service control manager alone: `tlstunnel start` starts the service, `tlstunnel run` serves in the foreground")
	}
	return errors.Join(h.err, err)
}

// Serve is what [RunAsService] runs.
type Serve func(ctx context.Context, ready func(), reload <-chan string) error

// scmHandler implements [svc.Handler].
type scmHandler struct {
	serve Serve
	err   error // the error of serve, valid once Execute has returned
}

// Execute answers the service control manager until serve has ended.
func (h *scmHandler) Execute(_ []string, requests <-chan svc.ChangeRequest, changes chan<- svc.Status) (specific bool, code uint32) {
	pending := func(state svc.State) svc.Status {
		return svc.Status{State: state, CheckPoint: 1, WaitHint: uint32(waitHint / time.Millisecond)}
	}
	status := pending(svc.StartPending)
	changes <- status

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ready, reload, ended := make(chan struct{}), make(chan string, 1), make(chan error, 1)
	go h.run(ctx, sync.OnceFunc(func() { close(ready) }), reload, ended)

	checkpoint := time.NewTicker(checkpointEvery)
	defer checkpoint.Stop()
	code = exitNotStarted
	for {
		select {
		case <-ready:
			ready = nil
			code = exitEnded
			if status.State == svc.StartPending {
				status = svc.Status{State: svc.Running, Accepts: accepted}
				changes <- status
			}
		case <-checkpoint.C:
			if status.CheckPoint > 0 {
				status.CheckPoint++
				changes <- status
			}
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				changes <- status
			case svc.ParamChange, reloadControl:
				select {
				case reload <- fmt.Sprintf("service control %d", r.Cmd):
				default: // a reload is waiting already
				}
			case svc.Stop, svc.Shutdown, svc.PreShutdown:
				stop()
				if status.State != svc.StopPending {
					status = pending(svc.StopPending)
				}
				changes <- status
			}
		case h.err = <-ended:
			if h.err == nil {
				return false, 0
			}
			return true, code
		}
	}
}

func (h *scmHandler) run(ctx context.Context, ready func(), reload <-chan string, ended chan<- error) {
	ended <- h.serve(ctx, ready, reload)
}
