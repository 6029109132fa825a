// Package bench measures what a tunnel does on this machine. It starts the
// program itself as a service with a throw-away config, puts one load after the
// other on it over loopback, and leaves nothing behind.
//
//	report, err := bench.Run(ctx, program, 20*time.Second)
//
// Load, tunnel and target share the machine's cores, so a tunnel alone on a machine is faster. The
// ratios between the loads hold.
package bench

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"runtime"
	"time"

	"tlstunnel/internal/version"
)

// A Report has the results and the machine.
type Report struct {
	Version     string   `json:"version"`
	OS          string   `json:"os"`
	Arch        string   `json:"arch"`
	Cores       int      `json:"cores"`
	TLS         string   `json:"tls"`
	Cipher      string   `json:"cipher"`
	KeyExchange string   `json:"key_exchange"`
	Seconds     float64  `json:"seconds"` // how long the whole took
	Figures     []Figure `json:"figures"`
}

// A Figure is one result. Those of the same measure are in the same unit.
type Figure struct {
	Measure string  `json:"measure"`
	Load    string  `json:"load"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
}

// The measures, each with its unit.
const (
	Throughput = "throughput"
	Connects   = "connections"
	RoundTrip  = "round trip of 1 KiB"
	Memory     = "memory of an idle connection"
)

var units = map[string]string{Throughput: "MB/s", Connects: "1/s", RoundTrip: "µs", Memory: "KiB"}

// load is a measurement: run loads the service for the given time, and returns the result.
type load struct {
	measure, name string
	share         time.Duration // of the whole time, in parts of wholeTime
	run           func(*subject, time.Duration) (float64, error)
}

const manyStreams = 16

// wholeTime is the sum of the shares, and what is left for the start.
const wholeTime = 40

// loads begin with the memory, before other loads have used some.
var loads = []load{
	{Memory, "TLS on one side, after 1 KiB", 17, idleMemory},
	{Throughput, "plain TCP, no tunnel", 3, func(s *subject, d time.Duration) (float64, error) { return stream(s, s.source.dial, 1, d) }},
	{Throughput, "to the peer", 3, func(s *subject, d time.Duration) (float64, error) { return stream(s, s.dialer("source"), 1, d) }},
	{Throughput, "to the target", 3, streamUp},
	{Throughput, fmt.Sprintf("to the peer, %d connections", manyStreams), 3, func(s *subject, d time.Duration) (float64, error) {
		return stream(s, s.dialer("source"), manyStreams, d)
	}},
	{Connects, "full handshake", 3, func(s *subject, d time.Duration) (float64, error) { return connects(s, false, d) }},
	{Connects, "resumed session", 3, func(s *subject, d time.Duration) (float64, error) { return connects(s, true, d) }},
	{RoundTrip, "plain TCP, no tunnel", 2, func(s *subject, d time.Duration) (float64, error) { return roundTrip(s.echo.dial, d) }},
	{RoundTrip, "through the tunnel", 2, func(s *subject, d time.Duration) (float64, error) { return roundTrip(s.dialer("echo"), d) }},
}

// Run measures for about as long as it is given. The program is started as
// `program run --config FILE`; what it says when it can't is in the error.
func Run(ctx context.Context, program string, duration time.Duration) (*Report, error) {
	start := time.Now()
	dir, err := os.MkdirTemp("", "tlstunnel-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s, err := startSubject(ctx, program, dir)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	r := &Report{Version: version.Version, OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU()}
	if err := r.describe(s); err != nil {
		return nil, err
	}
	for _, l := range loads {
		value, err := l.run(s, duration*l.share/wholeTime)
		if ctx.Err() != nil {
			return nil, ctx.Err() // ctx has ended the service, too
		}
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", l.measure, l.name, s.explain(err))
		}
		r.Figures = append(r.Figures, Figure{l.measure, l.name, value, units[l.measure]})
	}
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// describe returns the TLS version and suite of a connection through the tunnel.
func (r *Report) describe(s *subject) error {
	c, err := s.dialer("echo")()
	if err != nil {
		return s.explain(err)
	}
	defer c.Close()
	state := c.(*tls.Conn).ConnectionState()
	r.TLS, r.Cipher, r.KeyExchange = tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite), state.CurveID.String()
	return nil
}
