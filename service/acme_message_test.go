package service

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"tlstunnel/pki"
)

// TestACMENobodyAsked: a stranger gets no certificate of a challenge.
func TestACMENobodyAsked(t *testing.T) {
	a := &acmeCert{ACME: pki.ACME{Dir: t.TempDir(), Directory: "https://ca.example/dir", Domains: []string{"pacs.clinic.example"}}}
	for _, name := range []string{"pacs.clinic.example", "other.example", "../x"} {
		_, err := a.answer(&tls.ClientHelloInfo{SupportedProtos: []string{"acme-tls/1"}, ServerName: name})
		if want := "no CA has been asked to check the name " + strconv.Quote(name); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestACMEPortTaken: another program has the port of the challenge.
func TestACMEPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	a := &acmeCert{httpListen: l.Addr().String()}
	_, err = a.answerHTTP("/path", "body")
	begin := "listening on http_listen " + strconv.Quote(a.httpListen) + " for the challenge: "
	const end = ": stop the program that has the port, or set http_listen to another one and have port 80 forwarded to it"
	if err == nil || !strings.HasPrefix(err.Error(), begin) || !strings.HasSuffix(err.Error(), end) {
		t.Errorf("got %v, want %s…%s", err, begin, end)
	}
}

// TestEndSoon: what is to be done depends on whose the certificate is.
func TestEndSoon(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	pacs := pkix.Name{Names: []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 3}, Value: "pacs"}}}
	end := func(days int) *x509.Certificate {
		return &x509.Certificate{Raw: []byte{byte(days)}, Subject: pacs, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(0, 0, days)}
	}
	const begin = `the certificate "CN=pacs" expires on 2026-12-05, in 10 days: `
	for _, test := range []struct {
		cert, own, ca *x509.Certificate
		want          string
	}{
		{end(31), end(10), end(100), ""},
		{end(10), end(11), end(100), begin + "renew it"},
		{end(10), end(10), end(10), begin + "its CA ends with it, `tlstunnel ca rotate` makes the next one"},
		{end(10), end(10), end(100), begin + "it should have renewed itself, `tlstunnel cert renew` does it or says why not"},
	} {
		tr := translator{now: now, store: &pki.Store{CA: test.ca, Server: tls.Certificate{Leaf: test.own}}}
		if got := tr.endSoon(test.cert); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
