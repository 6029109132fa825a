package diagnose

import "strings"

// Of a target that doesn't understand what it is sent: chained is that a tunnel is there,
// and what doesn't understand is the program behind it.

// SpeaksTLS is for an alert of TLS where plain bytes were sent.
func SpeaksTLS(chained bool) Diagnosis {
	if chained {
		return New("target.behind_speaks_tls")
	}
	return New("target.speaks_tls")
}

// ClosedUnanswered is for an end of stream before the first byte.
func ClosedUnanswered(chained bool) Diagnosis {
	if chained {
		return New("target.behind_closed_unanswered")
	}
	return New("target.closed_unanswered")
}

// ResetUnanswered is for a target that did that, what, before the first byte. asked is that
// it had been sent something plain.
func ResetUnanswered(what string, chained, asked bool) Diagnosis {
	more := ""
	switch {
	case asked && chained:
		more = " If the program behind the target speaks TLS itself, " + plainPortThere
	case asked:
		more = " If the target speaks TLS itself, " + plainPort
	}
	return New("target.reset_unanswered", "what", what, "more", more)
}

// ResetWithoutCertificate is the same for a target that asked for a client certificate and
// got none, for the reason unsent.
func ResetWithoutCertificate(what string, unsent Diagnosis) Diagnosis {
	wants := strings.TrimPrefix(unsent.String(), "the target ")
	return New("target.reset_without_certificate", "what", what, "wants", wants)
}
