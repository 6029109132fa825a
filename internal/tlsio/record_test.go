package tlsio

import "testing"

// The held ticket goes out with the first bytes, in one write.
func TestTicketIsCut(t *testing.T) {
	record := func(kind byte, length int) []byte {
		return append([]byte{kind, 3, 3, byte(length >> 8), byte(length)}, make([]byte, length)...)
	}
	const handshake, changeCipherSpec, alert, data = 22, 20, 21, 23
	flight := func(records ...[]byte) (all []byte) {
		for _, r := range records {
			all = append(all, r...)
		}
		return all
	}
	hello, ccs, cert := record(handshake, 90), record(changeCipherSpec, 1), record(data, 900)
	finished, finished384, ticket := record(data, 53), record(data, 69), record(data, 210)
	tests := []struct {
		name   string
		flight []byte
		ticket int
	}{
		{"with a ticket", flight(hello, ccs, cert, finished, ticket), len(ticket)},
		{"SHA-384", flight(hello, ccs, cert, finished384, ticket), len(ticket)},
		{"without", flight(hello, ccs, cert, finished), 0},
		{"without, SHA-384", flight(hello, ccs, cert, finished384), 0},
		{"after a client certificate", ticket, len(ticket)},
		{"a hello retry request", flight(hello, ccs), 0},
		{"TLS 1.2", flight(hello, record(handshake, 900), record(handshake, 4)), 0},
		{"an alert", record(data, 19), 0},
		{"a plain alert", record(alert, 2), 0},
		{"nothing", nil, 0},
		{"half a record", hello[:3], 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rest, ticket := cutTicket(tt.flight)
			if len(ticket) != tt.ticket || len(rest)+len(ticket) != len(tt.flight) {
				t.Errorf("%d and %d bytes, want %d in the end", len(rest), len(ticket), tt.ticket)
			}
		})
	}
}

func TestEndsInAlert(t *testing.T) {
	record := func(kind byte, n int) []byte {
		return append([]byte{kind, 3, 3, byte(n >> 8), byte(n)}, make([]byte, n)...)
	}
	for name, test := range map[string]struct {
		record []byte
		want   bool
	}{
		"TLS 1.3":               {record(23, 19), true},
		"TLS 1.2, GCM":          {record(21, 26), true},
		"TLS 1.2, ChaCha":       {record(21, 18), true},
		"TLS 1.2, CBC":          {record(21, 64), true},
		"plain":                 {record(21, 2), true},
		"data":                  {record(23, 20), false},
		"much data":             {record(23, 16401), false},
		"a part of a record":    {record(23, 19)[:20], false},
		"no more than a header": {record(21, 2)[:5], false},
	} {
		before := record(23, 1000)
		all := append(before, test.record...)
		if got := endsInAlert(all[max(0, len(all)-128):]); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
