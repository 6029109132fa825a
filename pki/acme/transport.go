package acme

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	// A chain of a CA has some 10 KB, its directory less.
	maxACMEAnswer  = 1 << 20   // bytes
	maxACMEHeaders = 256 << 10 // bytes

	// maxPoll is the longest wait before we poll the CA again within an order, even if it asks
	// for a longer one.
	maxPoll = time.Minute
)

// wary is a transport for a server that may be broken, or not the CA at all. It refuses
// everything but https, in redirects too, and limits the size of answers.
type wary struct{ http.RoundTripper }

func (w wary) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" {
		return nil, fmt.Errorf("the CA leads to %q, which isn't https: nothing was asked there", req.URL)
	}
	resp, err := w.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = &boundedBody{resp.Body, maxACMEAnswer}
	if resp.StatusCode < http.StatusMultipleChoices {
		boundPoll(resp.Header)
	}
	return resp, nil
}

// boundPoll limits the Retry-After of an answer that isn't ready: the acme library waits as
// long as it says, and not at all if it is negative.
func boundPoll(h http.Header) {
	const key = "Retry-After"
	text := h.Get(key)
	if seconds, err := strconv.Atoi(text); text == "" || err == nil && 0 < seconds && seconds <= int(maxPoll.Seconds()) {
		return
	}
	h.Del(key) // then the library waits a second
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		h.Set(key, strconv.Itoa(int(maxPoll.Seconds())))
	}
}

// boundedBody fails if more than left bytes are read.
type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left+1)]) // one byte more shows that the answer is too long
	if b.left -= n; b.left < 0 {
		b.left = 0
		return 0, fmt.Errorf("the CA's answer has more than %d bytes", maxACMEAnswer)
	}
	return n, err
}
