package diagnose

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/crypto/acme"
)

// An Order is what a certificate was ordered with when that failed.
type Order struct {
	Domain      string // that the CA was checking
	Challenge   string // "http-01" or "tls-alpn-01"
	EABKid      string
	AccountFile string
	Now         string // what our clock says
}

// Explain says what err means: the CA's own words where there are some, and what to do.
func (o Order) Explain(err error) Diagnosis {
	if failed, ok := errors.AsType[*acme.AuthorizationError](err); ok {
		for _, err := range failed.Errors {
			if problem, ok := errors.AsType[*acme.Error](err); ok {
				return o.challenge(kindOfProblem(problem), problem.Detail)
			}
		}
	}
	if problem, ok := errors.AsType[*acme.Error](err); ok {
		return o.problem(problem)
	}
	return o.network(err)
}

// Account is for an account that the CA doesn't accept, as what says. A new one isn't made by
// itself: that an account was revoked has a reason.
func (o Order) Account(what string) Diagnosis {
	more := ""
	if o.EABKid != "" {
		more = ", check eab_kid and eab_key_file with the CA,"
	}
	return New("acme.account", "what", what, "more", more, "file", strconv.Quote(o.AccountFile))
}

func kindOfProblem(problem *acme.Error) string {
	return strings.TrimPrefix(problem.ProblemType, "urn:ietf:params:acme:error:")
}

// challenge is for when the CA didn't find our answer.
func (o Order) challenge(kind, detail string) Diagnosis {
	name := strconv.Quote(o.Domain)
	switch kind {
	case "dns":
		return New("acme.name_without_address", "name", name, "detail", detail)
	case "caa":
		return New("acme.other_ca_demanded", "name", name, "detail", detail)
	case "rateLimited":
		return New("acme.check_limited", "name", name, "detail", detail)
	}
	port, where := "443", "the tunnel"
	if o.Challenge == "http-01" {
		port, where = "80", "http_listen"
	}
	return New("acme.name_not_ours", "name", name, "detail", detail, "port", port, "where", where)
}

// problem is for what a CA says (RFC 8555, section 6.7).
func (o Order) problem(problem *acme.Error) Diagnosis {
	kind := kindOfProblem(problem)
	says := "the CA says " + strconv.Quote(problem.Detail) + " (" + strconv.Itoa(problem.StatusCode) + " " + kind + ")"
	switch kind {
	case "unauthorized", "accountDoesNotExist":
		return o.Account(says)
	case "rateLimited":
		return New("acme.rate_limited", "says", says)
	case "externalAccountRequired":
		return New("acme.customers_only", "says", says)
	case "rejectedIdentifier":
		return New("acme.rejected_name", "says", says)
	case "badPublicKey", "badCSR":
		return New("acme.rejected_key", "says", says)
	case "userActionRequired":
		return New("acme.user_action", "says", says)
	case "invalidContact", "unsupportedContact":
		return New("acme.rejected_email", "says", says)
	}
	if problem.StatusCode >= http.StatusInternalServerError {
		return New("acme.server_error", "says", says)
	}
	return New("acme.problem", "says", says)
}

// network is for what doesn't let us ask the CA.
func (o Order) network(err error) Diagnosis {
	var dns *net.DNSError
	text := err.Error()
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, refused := errors.AsType[*net.OpError](err)
	switch {
	case errors.As(err, &dns):
		return New("acme.dns", "err", text)
	case isInvalid && invalid.Reason == x509.Expired:
		return New("acme.clock", "err", text, "now", o.Now)
	case unknown:
		return New("acme.unknown_ca", "err", text)
	case errors.Is(err, context.DeadlineExceeded), refused:
		return New("acme.not_reached", "err", text)
	}
	return New("acme.failed", "err", text)
}
