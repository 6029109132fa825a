package diagnose

import "log/slog"

// row is one thing that can be wrong. Words in braces are filled in by [New].
type row struct {
	code   string // "*" is the side, peer or target
	by     string // who gives up; "" is the side
	level  slog.Level
	what   string
	remedy string // goes on after what with a colon, or with the semicolon that it begins with
}

// section is rows that belong together, in the order of a connection's way.
type section struct {
	title string
	rows  []row
}

const (
	debug = slog.LevelDebug // what port scanners and probes do
	info  = slog.LevelInfo
	warn  = slog.LevelWarn // the operator's own fault, or one that an operator should look into
	fatal = slog.LevelError
)

// table has every sentence on why a connection or an order failed. docs/messages.md is made
// from it.
var table = []section{
	{"Admission", []row{
		{"peer.denied", Tunnel, warn, "the peer's address is in deny_from", ""},
		{"peer.not_allowed_from", Tunnel, warn, "the peer's address isn't in allow_from", ""},
		{"tlstunnel.max_handshakes", Tunnel, warn, "{count} connections are in their handshake, and the peer's address has the most of them", ""},
		{"tlstunnel.made_room", Tunnel, warn, "{count} connections are in their handshake, most of them from the peer's address or none as old as this one: it made room for another", ""},
		{"tlstunnel.max_connections", Tunnel, warn, "max_connections is reached", ""},
		{"tlstunnel.max_connections_per_ip", Tunnel, warn, "max_connections_per_ip is reached", ""},
	}},
	{"Handshake with the peer", []row{
		{"peer.handshake_timeout", Tunnel, info, "the peer didn't finish the TLS handshake within handshake_timeout", ""},
		{"peer.silent", Tunnel, info, "the peer sent nothing within handshake_timeout", "a program without TLS that waits for the server to speak first does so"},
		{"tlstunnel.no_turn", Tunnel, warn, "there were more handshakes than this machine can do: this one had no turn within handshake_timeout", ""},
		{"peer.left", Peer, debug, "the peer closed before it had said what TLS it wants", ""},
		{"peer.left_handshake", Peer, info, "the peer closed in the middle of the TLS handshake", "; some programs do so when they don't trust our certificate{fault}"},
	}},
	{"Connecting to the target", []row{
		{"tlstunnel.no_target", Tunnel, fatal, "this tunnel has no target", ""},
		{"target.dns", Target, warn, "the {side}'s host name can't be resolved", "check its spelling and this machine's DNS"},
		{"target.refused", Target, warn, "nothing listens at the {side}, or a firewall rejects", "is its service running, and is the port right?"},
		{"target.unreachable", Target, warn, "the {side} can't be reached: it is off, a firewall on the way rejects, or there is no route", "; check its address, the firewalls and the network"},
		{"target.no_route", Target, warn, "there is no route to the {side}", "check its address and the network"},
		{"target.forbidden", Target, warn, "connecting to the {side} is forbidden, by {whom}", "allow it there"},
		{"target.no_answer", Target, warn, "the {side} didn't answer within {limit}", "is it on, and does a firewall drop the packets?"},
		{"target.slow_address", Target, warn, "it doesn't answer", ""},
		{"target.reset_at_once", Target, warn, "the {side} reset the connection at once", "perhaps it refuses this machine; its own log knows"},
		{"target.not_connected", Target, warn, "the {side} can't be connected to", ""},
		{"tlstunnel.too_many_files", Tunnel, warn, "too many open files", "raise the limit (LimitNOFILE, ulimit -n) or set max_connections"},
	}},
	{"Handshake with the target", []row{
		{"target.handshake_timeout", Target, warn, "the {side} didn't finish the TLS handshake within {limit}", "does it speak TLS at this port?{large}"},
		{"target.left_handshake", Target, warn, "the {side} closed in the middle of the TLS handshake", "it doesn't speak TLS at this port, or it refuses this machine; its own log knows{large}"},
	}},
	{"Authorization", []row{
		{"*.revoked", Tunnel, warn, "{whose} was revoked {since} ({crl})", ""},
		{"*.ca_revoked", Tunnel, warn, "{whose} comes from the CA {ca}, whose certificate was revoked {since} ({crl})", ""},
		{"*.crl_out_of_date", Tunnel, warn, "{whose} may have been revoked: the CRL {crl} of {issuer} has been out of date since {since}", "; get a new one from the CA, or set crl_expired = \"warn\""},
		{"peer.has_our_key", Tunnel, warn, "the peer has the key of this machine's own server certificate, which is no client's", "give it a certificate of its own (`tlstunnel cert issue NAME --client`); if it is this machine, or the key is shared on purpose, write {key} in allow"},
		{"peer.not_in_allow", Tunnel, warn, "nothing in the peer's certificate is in allow: it has {names}; allow has {rules}", ""},
	}},
	{"Relaying", []row{
		{"*.reset", "", info, "the {side} reset the connection", ""},
		{"*.vanished", "", info, "the {side} vanished: it no longer answers keepalive probes or takes data", ""},
		{"*.closed_in_record", "", info, "the {side} closed the connection in the middle of a TLS record", ""},
		{"*.cut_off", "", warn, "the connection to the {side} was cut off on the way, by a proxy or a firewall say: its stream ended without the close_notify that a tlstunnel sends", ""},
		{"*.no_close_notify", "", warn, "the {side} ended its stream without close_notify, and close_notify is \"require\"", "it may be cut off; if the {side} never sends one, set \"auto\""},
		{"*.connection_failed", "", info, "the connection to the {side} failed", ""},
		{"target.speaks_tls", Target, warn, "the target speaks TLS itself: it answered plain bytes with an alert", "; " + plainPort},
		{"target.behind_speaks_tls", Target, warn, "the program behind the target speaks TLS itself: it answered plain bytes with an alert", "; " + plainPortThere},
		{"target.closed_unanswered", Target, warn, "the target closed before it had sent a byte", "its own log knows why; if the target speaks TLS itself, " + plainPort},
		{"target.behind_closed_unanswered", Target, warn, "the target closed before it had sent a byte", "its own log knows why; if the program behind the target speaks TLS itself, " + plainPortThere},
		{"target.reset_unanswered", Target, warn, "{what} before it had sent a byte", "its own log knows why; if it is a tlstunnel, is the program behind that one running?{more}"},
		{"target.reset_without_certificate", Target, warn, "{what} before it had sent a byte, perhaps as it wants a client certificate{unsent}", ""},
	}},
	{"Time limits and stops", []row{
		{"tlstunnel.idle", Tunnel, info, "no progress for idle_timeout", ""},
		{"tlstunnel.half_close", Tunnel, info, "no progress for half_close_timeout after one side had ended", ""},
		{"tlstunnel.grace_over", Tunnel, info, "shutdown_grace is over", ""},
		{"tlstunnel.stopping", Tunnel, debug, "tlstunnel is stopping", ""},
		{"tlstunnel.ended", Tunnel, info, "it was ended by command", ""},
	}},
	{"Ends in order", []row{
		{"*.end", "", info, "end of stream", ""},
		{"*.end_without_close_notify", "", info, "end of stream without close_notify", ""},
		{"tlstunnel.acme_check", Tunnel, info, "a CA has checked that the name is ours", ""},
	}},
}

const (
	plainPort      = "target must be its plain port; for its TLS port, take a tunnel with mode = \"client\""
	plainPortThere = "the target of the tunnel there must be its plain port"
)

// rows are those of table by their code.
var rows = func() map[string]row {
	all := make(map[string]row)
	for _, s := range table {
		for _, r := range s.rows {
			all[r.code] = r
		}
	}
	return all
}()
