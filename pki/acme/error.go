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

// Error is why there is no new certificate, and what to do.
type Error struct {
	Text       string
	Code       string        // of the diagnosis, for programs
	RetryAfter time.Duration // that the CA has asked for; 0 if it hasn't
	Err        error
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.Err }

// codeOf is the code of the diagnosis in err.
func codeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return cmp.Or(e.Code, unknownFailure)
	}
	return unknownFailure
}

const unknownFailure = "acme.failed"

// clocks compares our clock with that of the CA, which each of its answers has.
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

// check is done before anything is asked for: a certificate that we take for
// expired or not yet valid would be thrown away, and the next one too, until the
// CA gives us no more.
func (c *clocks) check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.skew.Abs() <= maxClockSkew {
		return nil
	}
	return fmt.Errorf("the clock of this machine says %s, that of the CA %s: set the clock", date.Time(c.now()), date.Time(c.now().Add(-c.skew)))
}

// explain adds to what went wrong what to do about it.
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
	why.What = clip(why.What) // it may have the CA's words
	e.Code, e.Text = why.Code, fmt.Sprintf("getting a certificate for %s from %q: %v", quote.List(o.Domains), o.Directory, why)
	return e
}

// diagnose says why there is no certificate, but for which names and from whom.
func (o *ordering) diagnose(err error) diagnose.Diagnosis {
	order := diagnose.Order{Domain: o.domain, Challenge: o.Challenge, EABKid: o.EABKid, AccountFile: o.accountFile(), Now: date.Time(o.now())}
	if _, ok := errors.AsType[errAccount](err); ok {
		return order.Account(err.Error())
	}
	return order.Explain(err)
}

// clip makes one line of a bounded length of what may be a CA's words.
func clip(text string) string {
	return quote.Clip(quote.Text(strings.Join(strings.Fields(text), " ")), 1000)
}
