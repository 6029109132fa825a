package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	protocol "golang.org/x/crypto/acme"

	"tlstunnel/internal/date"
	"tlstunnel/internal/quote"
)

// Error is why there is no new certificate, and what to do.
type Error struct {
	Text       string
	RetryAfter time.Duration // that the CA has asked for; 0 if it hasn't
	Err        error
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.Err }

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
	text, advice := o.reason(err)
	e.Text = fmt.Sprintf("getting a certificate for %s from %q: %s", quote.List(o.Domains), o.Directory, clip(text))
	if advice != "" {
		e.Text += ": " + advice
	}
	return e
}

// reason says what went wrong, in the CA's own words where there are some, and
// what to do about it.
func (o *ordering) reason(err error) (text, advice string) {
	if failed, ok := errors.AsType[*protocol.AuthorizationError](err); ok {
		for _, err := range failed.Errors {
			if problem, ok := errors.AsType[*protocol.Error](err); ok {
				return fmt.Sprintf("the CA couldn't make sure that %q is ours: %s", o.domain, problem.Detail), o.challengeAdvice(kindOf(problem))
			}
		}
	}
	if problem, ok := errors.AsType[*protocol.Error](err); ok {
		return fmt.Sprintf("the CA says %q (%d %s)", problem.Detail, problem.StatusCode, kindOf(problem)), o.advice(kindOf(problem), problem.StatusCode)
	}
	if _, ok := errors.AsType[errAccount](err); ok {
		return err.Error(), o.newAccount()
	}
	return err.Error(), o.networkAdvice(err)
}

func kindOf(problem *protocol.Error) string {
	return strings.TrimPrefix(problem.ProblemType, "urn:ietf:params:acme:error:")
}

// challengeAdvice is for when the CA didn't find our answer.
func (o *ordering) challengeAdvice(kind string) string {
	port, where := "443", "the tunnel"
	if o.Challenge == "http-01" {
		port, where = "80", "http_listen"
	}
	switch kind {
	case "dns":
		return fmt.Sprintf("give %q an address in the public DNS, that of this machine", o.domain)
	case "caa":
		return fmt.Sprintf("the DNS allows only other CAs (CAA record of %q): add this one, or set directory to one of those", o.domain)
	case "rateLimited":
		return "the CA has had too many requests: it is tried again later"
	}
	return fmt.Sprintf("the name must lead to this machine, and port %s of it to %s: check the DNS, the firewall, the port forwarding, and what else may answer there", port, where)
}

func (o *ordering) advice(kind string, status int) string {
	switch kind {
	case "unauthorized", "accountDoesNotExist":
		return o.newAccount()
	case "rateLimited":
		return "it is tried again later, when the CA allows it; don't delete files, as that only asks for more"
	case "externalAccountRequired":
		return "this CA takes only its customers: set eab_kid and eab_key_file to what it gave you"
	case "rejectedIdentifier":
		return "this CA doesn't issue certificates for that name: check domains"
	case "badPublicKey", "badCSR":
		return "set another pki.key_type"
	case "userActionRequired":
		return "the CA wants something done first; it says what"
	case "invalidContact", "unsupportedContact":
		return "set another email"
	}
	if status >= http.StatusInternalServerError {
		return "it is the CA's own fault, and tried again"
	}
	return ""
}

// newAccount is not done by itself: that an account was revoked has a reason.
func (o *ordering) newAccount() string {
	advice := ""
	if o.EABKid != "" {
		advice = ", check eab_kid and eab_key_file with the CA,"
	}
	return fmt.Sprintf("the CA doesn't accept this account any more, or for this: if it was deactivated or revoked, find out why%s and then delete its key %q and reload: a new account is made", advice, o.accountFile())
}

func (o *ordering) networkAdvice(err error) string {
	var dns *net.DNSError
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, refused := errors.AsType[*net.OpError](err)
	switch {
	case errors.As(err, &dns):
		return "check directory and this machine's DNS"
	case isInvalid && invalid.Reason == x509.Expired:
		return fmt.Sprintf("check the clock of this machine, which says %s", date.Time(o.now()))
	case unknown:
		return "set directory_ca to the file with the CA's root certificate, if it is a private one; otherwise something on the way intercepts TLS"
	case errors.Is(err, context.DeadlineExceeded), refused:
		return "check directory, the network and the proxy (HTTPS_PROXY); it is tried again"
	}
	return ""
}

// clip makes one line of a bounded length of what may be a CA's words.
func clip(text string) string {
	const most = 1000
	text = quote.Text(strings.Join(strings.Fields(text), " "))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
