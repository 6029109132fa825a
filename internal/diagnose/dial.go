package diagnose

import (
	"errors"
	"io"
	"net"
	"os"
)

// Dial says why a side couldn't be connected to. limit is how long that may take, in
// words.
func Dial(side, limit string, err error) Diagnosis {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return New("target.dns", "side", side)
	case errors.Is(err, errRefused):
		return New("target.refused", "side", side)
	case errors.Is(err, errHostUnreach):
		return New("target.unreachable", "side", side)
	case errors.Is(err, errNetUnreach):
		return New("target.no_route", "side", side)
	case errors.Is(err, errForbidden), errors.Is(err, errNotPermitted):
		return New("target.forbidden", "side", side, "whom", whoForbids)
	case errors.Is(err, errTooMany):
		return New("tlstunnel.too_many_files")
	case IsTimeout(err):
		return New("target.no_answer", "side", side, "limit", limit)
	case IsGone(err):
		return New("target.reset_at_once", "side", side)
	}
	return New("target.not_connected", "side", side)
}

// IsGone reports whether err is the other side's leaving without a word.
func IsGone(err error) bool {
	for _, gone := range []error{io.EOF, io.ErrUnexpectedEOF, errReset, errPipe, errAborted, net.ErrClosed} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}

// IsTimeout reports whether err is that a time limit is over, ours or the system's.
func IsTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}
