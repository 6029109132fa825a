package acme

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	protocol "golang.org/x/crypto/acme"

	"tlstunnel/internal/date"
	"tlstunnel/internal/diagnose"
	"tlstunnel/internal/quote"
)

// Error says why there is no new certificate, and what to do.
type Error struct {
	Text       string
	Code       string        // of the diagnosis, for programs
	RetryAfter time.Duration // the wait that the CA asked for, or 0
	Err        error
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.Err }

// codeOf returns the code of the diagnosis in err.
func codeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return cmp.Or(e.Code, unknownFailure)
	}
	return unknownFailure
}

const unknownFailure = "acme.failed"

// clocks compares our clock with the CA's, which it reads from the Date of each answer.
type clocks struct {
	http.RoundTripper
	now func() time.Time

	mu   sync.Mutex // guards what follows
	skew time.Duration
}

func (c *clocks) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.RoundTripper.RoundTrip(req)
	if err == nil {
		if theirs, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			c.mu.Lock()
			c.skew = c.now().Sub(theirs)
			c.mu.Unlock()
		}
	}
	return resp, err
}

// check is called before an order. With a wrong clock we would throw away each new certificate
// as expired or not yet valid, until we reach the CA's rate limit.
func (c *clocks) check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.skew.Abs() <= maxClockSkew {
		return nil
	}
	return fmt.Errorf("the clock of this machine says %s, that of the CA %s: set the clock", date.Time(c.now()), date.Time(c.now().Add(-c.skew)))
}

// explain adds the remedy to an error.
func (o *ordering) explain(err error) error {
	e := &Error{Err: err}
	if problem, ok := errors.AsType[*protocol.Error](err); ok {
		e.RetryAfter, _ = protocol.RateLimit(problem)
		if at, err := http.ParseTime(problem.Header.Get("Retry-After")); err == nil {
			e.RetryAfter = at.Sub(o.now())
		} else if s, err := time.ParseDuration(problem.Header.Get("Retry-After") + "s"); err == nil {
			e.RetryAfter = s
		}
	}
	why := o.diagnose(err)
	why.What = clip(why.What) // it may contain the CA's text
	e.Code, e.Text = why.Code, fmt.Sprintf("getting a certificate for %s from %q: %v", quote.List(o.Domains), o.Directory, why)
	return e
}

// diagnose says why there is no certificate. The names and the CA are added later.
func (o *ordering) diagnose(err error) diagnose.Diagnosis {
	order := diagnose.Order{Domain: o.domain, Challenge: o.Challenge, EABKid: o.EABKid, AccountFile: o.accountFile(), Now: date.Time(o.now())}
	if _, ok := errors.AsType[errAccount](err); ok {
		return order.Account(err.Error())
	}
	return order.Explain(err)
}

// clip shortens a CA's text to one line of bounded length.
func clip(text string) string {
	return quote.Clip(quote.Text(strings.Join(strings.Fields(text), " ")), 1000)
}
