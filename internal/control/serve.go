package control

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server answers on the control channel of a service.
type Server struct {
	http   http.Server
	retry  time.Duration
	stop   chan struct{} // ends the attempts to open it
	closed chan struct{} // closed once the server accepts no more requests

	handlers sync.WaitGroup // requests that are being answered
}

// Serve opens the control channel of the config file. If that fails, it tries again every
// retry: another instance may be about to stop. It calls failed, which may be nil, with the
// first error. The caller must call Close.
func Serve(configFile string, handler http.Handler, retry time.Duration, failed func(error)) *Server {
	s := &Server{retry: retry, stop: make(chan struct{}), closed: make(chan struct{})}
	s.http = http.Server{ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.handlers.Add(1)
		defer s.handlers.Done()
		handler.ServeHTTP(w, r)
	})
	l, err := listen(configFile)
	if err != nil && failed != nil {
		failed(err)
	}
	go s.serve(l, configFile)
	return s
}

// serve answers on l, and opens it first if it is nil.
func (s *Server) serve(l net.Listener, configFile string) {
	defer close(s.closed)
	again := time.NewTicker(s.retry)
	defer again.Stop()
	for l == nil {
		select {
		case <-again.C:
			l, _ = listen(configFile) // the first error was reported
		case <-s.stop:
			return
		}
	}
	_ = s.http.Serve(l) // closes l, even after Close
}

// lastAnswers is how long Close waits for the answers to requests that have begun. Then it
// closes connections that sent no request, or don't read their answer.
const lastAnswers = time.Second

// Close closes the channel, and returns when each request that has begun is answered.
func (s *Server) Close() {
	close(s.stop)
	ctx, cancel := context.WithTimeout(context.Background(), lastAnswers)
	defer cancel()
	_ = s.http.Shutdown(ctx)
	s.http.Close()
	<-s.closed
	s.handlers.Wait()
}
