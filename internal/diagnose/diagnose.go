// Package diagnose says why a connection, or an order for a certificate, failed: which side
// it is about, what happened, and what to do. It has the one table of these sentences (see
// table.go), and is the only place that looks into the texts of crypto/tls. It opens and
// logs nothing, and has no goroutine.
//
//	d := diagnose.Dial(diagnose.Target, "connect_timeout", err)
//	d.Code     // target.refused, for a program to match
//	d.What     // nothing listens at the target, or a firewall rejects
//	d.Remedy   // is its service running, and is the port right?
//	d.String() // both
package diagnose

import (
	"cmp"
	"log/slog"
	"slices"
	"strings"

	"tlstunnel/internal/quote"
)

// The sides that a diagnosis can be about.
const (
	Peer   = "peer"      // the accepted connection
	Target = "target"    // the dialled one
	Tunnel = "tlstunnel" // we ourselves
	ACME   = "acme"      // a CA that a certificate is ordered from
	Server = "server"    // one that is only looked at; its codes are those of a target
)

// A Diagnosis is why something failed.
type Diagnosis struct {
	Code   string // what doesn't change: the side, a dot, and what is wrong with it
	By     string // who gave up: Peer, Target or Tunnel
	Level  slog.Level
	What   string // happened
	Remedy string // "" if there is none, or it isn't known

	joint string // between What and Remedy
}

// New makes a diagnosis of the row of the table with that code. values are the words in
// braces there, each followed by what takes its place. A "*" in code is the "side" among
// them; the row may be for both sides, or for that one.
func New(code string, values ...string) Diagnosis {
	side := ""
	if i := slices.Index(values, "side"); i >= 0 {
		if side = values[i+1]; side == Server {
			side = Target
		}
	}
	of := strings.Replace(code, "*", side, 1)
	r, ok := rows[of]
	if !ok {
		r = rows[code]
	}
	d := Diagnosis{Code: of, By: cmp.Or(r.by, side), Level: r.level, What: quote.Fill(r.what, values...), joint: ": "}
	d.Remedy = quote.Fill(r.remedy, values...)
	if rest, ok := strings.CutPrefix(d.Remedy, "; "); ok {
		d.Remedy, d.joint = rest, "; "
	}
	return d
}

// Side is the one that it is about, which need not be the one that gave up.
func (d Diagnosis) Side() string {
	side, _, _ := strings.Cut(d.Code, ".")
	return side
}

// String is the whole sentence. It goes on after something: it begins in lower case, and
// has no full stop.
func (d Diagnosis) String() string {
	if d.Remedy == "" {
		return d.What
	}
	return d.What + d.joint + d.Remedy
}
