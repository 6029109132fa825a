package diagnose

import (
	"log/slog"
	"slices"
	"strings"

	"tlstunnel/internal/chain"
)

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
		{"peer.handshake_timeout", Tunnel, info, "the {side} didn't finish the TLS handshake within {limit}", ""},
		{"peer.silent", Tunnel, info, "the peer sent nothing within handshake_timeout", "a program without TLS that waits for the server to speak first does so"},
		{"tlstunnel.no_turn", Tunnel, warn, "there were more handshakes than this machine can do: this one had no turn within handshake_timeout", ""},
		{"peer.left", Peer, debug, "the peer closed before it had said what TLS it wants", ""},
		{"peer.not_tls", Peer, info, "the {side} isn't speaking TLS: {found}", "; is mode right?"},
		{"peer.old_version", Tunnel, info, "the {side} speaks only versions of TLS older than this tunnel's profile allows", "update it"},
		{"*.old_suites", Tunnel, info, "the {side} offers none but old cipher suites ({suites}), which profile = \"default\" leaves out", "update it, or set profile = \"legacy\" in this tunnel"},
		{"*.old_suites_of_rsa", Tunnel, info, "the {side} offers none but old cipher suites ({suites}), which profile = \"default\" leaves out", "update it, or set profile = \"legacy\" in this tunnel and give it a certificate with an RSA key, as the {side} takes no other"},
		{"peer.slow_key_exchange", Tunnel, info, "the {side} offers only the key exchange P-521, which is slow, and which this tunnel's profile leaves out", "have it offer X25519 or P-256, or set profile = \"legacy\" in this tunnel"},
		{"*.takes_other_key", Tunnel, info, "the {side} takes only certificates with {wanted} key, and this tunnel's has {ours} key", "set cert and key to one with {wanted} key, from a CA whose key is {kinds} too; it offers {offer}"},
		{"*.nothing_in_common", Tunnel, info, "the {side} has no cipher suite or key exchange in common with this tunnel's profile{more}", ""},
		{"*.sha1_alone", Tunnel, info, "the {side} knows only signatures with SHA-1, which isn't accepted (it names no signature algorithms)", "update it"},
		{"*.no_protocol_offered", Tunnel, info, "the {side} offers none of the protocols in alpn", ""},
		{"peer.name_with_dot", Peer, info, "the peer asks for the name {name}, with a dot at its end, which TLS doesn't allow there", "it must leave the dot out"},
		{"peer.no_certificate", Tunnel, info, "the peer sent no client certificate, and client_auth requires one", "give it a certificate and key that a CA of client_ca issued; if it has one, that is from another CA, and many programs then send none"},
		{"peer.tls_failed", Peer, info, "TLS with the {side} failed", ""},
		{"peer.left_handshake", Peer, info, "the peer closed in the middle of the TLS handshake", "; some programs do so when they don't trust our certificate{more}"},
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
		{"target.handshake_timeout", Target, warn, "the {side} didn't finish the TLS handshake within {limit}", "does it speak TLS at this port?{more}"},
		{"target.not_tls", Target, warn, "the {side} isn't speaking TLS: {found}", "; is mode right?"},
		{"target.plain", Target, warn, "the {side} isn't speaking TLS: {found}", "; is it the port of the plain service?"},
		{"target.old_version", Tunnel, warn, "the {side} speaks only versions of TLS older than this tunnel's profile allows", "update it"},
		{"target.tls_failed", Target, warn, "TLS with the {side} failed", ""},
		{"target.left_handshake", Target, warn, "the {side} closed in the middle of the TLS handshake", "it doesn't speak TLS at this port, or it refuses this machine; its own log knows{more}"},
	}},
	{"Alerts of the other side", []row{
		{"*.wants_certificate", "", warn, "the {side} wants a client certificate", "set cert and key"},
		{"target.wants_other_ca", Target, warn, "the target wants a client certificate from one of its CAs, {theirs}; ours is from {ours}, so it wasn't sent", "set cert and key to one that one of those issued, or have the target accept that CA"},
		{"target.wants_other_key", Target, warn, "the target wants a client certificate, but doesn't take one with {ours} key, as ours is, so it wasn't sent", "set cert and key to one with {wanted} key"},
		{"*.refuses_ours", "", warn, "the {side} refused tlstunnel's certificate: {fault}", ""},
		{"*.distrusts_our_ca", "", warn, "the {side} refused tlstunnel's certificate: it doesn't trust {ca}", "; give it that CA's certificate{more}"},
		{"*.takes_ours_for_expired", "", warn, "the {side} refused tlstunnel's certificate: it takes it for expired", "; compare the clocks"},
		{"*.takes_ours_for_revoked", "", warn, "the {side} refused tlstunnel's certificate: it takes it for revoked", ""},
		{"*.refuses_ours_silently", "", warn, "the {side} refused tlstunnel's certificate: perhaps it doesn't trust {ca}, or expects another name", "; its own log knows"},
		{"*.denies_access", "", warn, "the {side} refused tlstunnel's certificate: it is valid, but has no access there", ""},
		{"*.nothing_in_common_there", "", warn, "the {side} found no TLS parameters in common, or wants a client certificate (cert and key){more}", ""},
		{"*.no_version_in_common", "", warn, "the {side} speaks no version of TLS that this tunnel's profile allows", ""},
		{"*.unknown_name", "", warn, "the {side} doesn't know the name that it was asked for", "check server_name"},
		{"*.no_protocol_in_common", "", warn, "the {side} speaks none of the protocols in alpn", ""},
		{"*.alert", "", warn, "the {side} ended TLS with an alert", "; its own log knows why{more}"},
	}},
	{"Certificates that tlstunnel refuses", slices.Concat(chainRows(), []row{
		{"*.other_name", Tunnel, warn, refused + "expected the name {name}, but it is for {names}", "; if this is the right machine, set server_name to a name of its certificate, have this name added to it (a tlstunnel there has names in [pki] for that), or pin its key here (pins in place of ca)"},
		{"*.without_name", Tunnel, warn, refused + "expected the name {name}, but it is for no name at all (only the subject {subject}, which doesn't count)", "; if this is the right machine, have this name added to it (a tlstunnel there has names in [pki] for that), or pin its key here (pins in place of ca)"},
		{"*.other_key", Tunnel, warn, refused + "its key is {key}, which isn't pinned: either it has a new key or this is another machine", "; if its administrator confirms this key, for example by phone, write it in pins, which has {pins}"},
		{"*.other_keys", Tunnel, warn, refused + "its CA is trusted, but no key in its chain is pinned: it has {keys}", "; if its administrator confirms one of them, for example by phone, write that in pins, which has {pins}"},
		{"*.pin_of_certificate", Tunnel, warn, refused + "pins has the fingerprint of the whole certificate {subject}, but must have that of its key", "write {pin}"},
		{"*.weak_key", Tunnel, warn, refused + "{subject} has {weakness}", ""},
		{"*.unreadable_certificate", Tunnel, warn, "the {side}'s certificate can't be used: it {why}", "; it needs another one"},
		{"*.unsupported_key", Tunnel, warn, "the {side}'s certificate can't be used: it has a key of a kind or size that isn't supported", "; it needs one with an RSA key of at most 8192 bits, or an ECDSA or Ed25519 key"},
		{"*.large_message", Tunnel, warn, "tlstunnel refused the {side}'s handshake: it sent a message of {bytes} bytes, where {most} are the most", ""},
		{"*.long_list", Tunnel, warn, "tlstunnel refused the {side}'s handshake: its first message lists more than {most} {what}", ""},
		{"*.many_records", Tunnel, warn, "tlstunnel refused the {side}'s handshake: it came in more than {most} records", ""},
		{"*.large_chain", Tunnel, warn, "tlstunnel refused the {side}'s handshake: it sent {what}", "; it should send its certificate and those of the CAs between it and the root, and no others"},
	})},
	{"Authorization", []row{
		{"*.revoked", Tunnel, warn, "{whose} was revoked {since} ({file})", ""},
		{"*.ca_revoked", Tunnel, warn, "{whose} comes from the CA {subject}, whose certificate was revoked {since} ({file})", ""},
		{"*.crl_out_of_date", Tunnel, warn, "{whose} may have been revoked: the CRL {file} of {issuer} has been out of date since {since}", "; get a new one from the CA, or set crl_expired = \"warn\""},
		{"peer.has_our_key", Tunnel, warn, "the peer has the key of this machine's own server certificate, which is no client's", "give it a certificate of its own (`tlstunnel cert issue NAME --client`); if it is this machine, or the key is shared on purpose, write {key} in allow"},
		{"peer.not_in_allow", Tunnel, warn, "nothing in the peer's certificate is in allow: it has {names}; allow has {rules}", ""},
	}},
	{"Relaying", []row{
		{"*.renegotiates", Tunnel, warn, "the {side} asks for a second handshake amid the connection (renegotiation of TLS 1.2), which tlstunnel never does", "switch that off there, or let the {side} speak TLS 1.3, which has none"},
		{"*.reset", "", info, "the {side} reset the connection", ""},
		{"*.vanished", "", info, "the {side} vanished: it no longer answers keepalive probes or takes data", ""},
		{"*.closed_in_record", "", info, "the {side} closed the connection in the middle of a TLS record", ""},
		{"*.cut_off", "", warn, "the connection to the {side} was cut off on the way, for example by a proxy or a firewall: its stream ended without the close_notify that a tlstunnel sends", ""},
		{"*.no_close_notify", "", warn, "the {side} ended its stream without close_notify, and close_notify is \"require\"", "it may be cut off; if the {side} never sends one, set \"auto\""},
		{"*.connection_failed", "", info, "the connection to the {side} failed", ""},
		{"target.speaks_tls", Target, warn, "the target speaks TLS itself: it answered plain bytes with an alert", "; " + plainPort},
		{"target.behind_speaks_tls", Target, warn, "the program behind the target speaks TLS itself: it answered plain bytes with an alert", "; " + plainPortThere},
		{"target.closed_unanswered", Target, warn, "the target closed before it had sent a byte", "its own log knows why; if the target speaks TLS itself, " + plainPort},
		{"target.behind_closed_unanswered", Target, warn, "the target closed before it had sent a byte", "its own log knows why; if the program behind the target speaks TLS itself, " + plainPortThere},
		{"target.reset_unanswered", Target, warn, "{what} before it had sent a byte", "its own log knows why; if it is a tlstunnel, does it let this machine in, and is the program behind it running?{more}"},
		{"target.reset_without_certificate", Target, warn, "{what} before it had sent a byte, perhaps as it {wants}", ""},
	}},
	{"Time limits and stops", []row{
		{"tlstunnel.idle", Tunnel, info, "no progress for idle_timeout", ""},
		{"tlstunnel.half_close", Tunnel, info, "no progress for half_close_timeout after one side had ended", ""},
		{"tlstunnel.grace_over", Tunnel, info, "shutdown_grace is over", ""},
		{"tlstunnel.stopping", Tunnel, debug, "tlstunnel is stopping", ""},
		{"tlstunnel.ended", Tunnel, info, "it was ended by command", ""},
	}},
	{"Certificates from a public CA", []row{
		{"acme.name_not_ours", ACME, warn, notOurs, "the name must lead to this machine, and port {port} of it to {where}: check the DNS, the firewall, the port forwarding, and what else may answer there"},
		{"acme.name_without_address", ACME, warn, notOurs, "give {name} an address in the public DNS, that of this machine"},
		{"acme.other_ca_demanded", ACME, warn, notOurs, "the DNS allows only other CAs (CAA record of {name}): add this one, or set directory to one of those"},
		{"acme.check_limited", ACME, warn, notOurs, "the CA has had too many requests: it is tried again later"},
		{"acme.account", ACME, warn, "{what}", "the CA doesn't accept this account any more, or for this: if it was deactivated or revoked, find out why{more} and then delete its key {file} and reload: a new account is made"},
		{"acme.rate_limited", ACME, warn, "{says}", "it is tried again later, when the CA allows it; don't delete files, as that only asks for more"},
		{"acme.customers_only", ACME, warn, "{says}", "this CA takes only its customers: set eab_kid and eab_key_file to what it gave you"},
		{"acme.rejected_name", ACME, warn, "{says}", "this CA doesn't issue certificates for that name: check domains"},
		{"acme.rejected_key", ACME, warn, "{says}", "set another pki.key_type"},
		{"acme.rejected_email", ACME, warn, "{says}", "set another email"},
		{"acme.user_action", ACME, warn, "{says}", "the CA wants something done first; it says what"},
		{"acme.server_error", ACME, warn, "{says}", "it is the CA's own fault, and tried again"},
		{"acme.problem", ACME, warn, "{says}", ""},
		{"acme.dns", ACME, warn, "{err}", "check directory and this machine's DNS"},
		{"acme.clock", ACME, warn, "{err}", "check the clock of this machine, which says {now}"},
		{"acme.unknown_ca", ACME, warn, "{err}", "set directory_ca to the file with the CA's root certificate, if it is a private one; otherwise something on the way intercepts TLS"},
		{"acme.not_reached", ACME, warn, "{err}", "check directory, the network and the proxy (HTTPS_PROXY); it is tried again"},
		{"acme.failed", ACME, warn, "{err}", ""},
	}},
	{"Ends in order", []row{
		{"*.end", "", info, "end of stream", ""},
		{"*.end_without_close_notify", "", info, "end of stream without close_notify", ""},
		{"tlstunnel.acme_check", Tunnel, info, "a CA has checked that the name is ours", ""},
	}},
}

const (
	notOurs        = "the CA couldn't make sure that {name} is ours: {detail}"
	refused        = "tlstunnel refused the {side}'s certificate: "
	largeHello     = " (some firewalls and old servers lose or refuse a first message as large as ours, {bytes} bytes: try the environment variable GODEBUG=tlsmlkem=0, see docs/connections.md)"
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

// chainRows are what package chain says of the chains of others.
func chainRows() (all []row) {
	for _, kind := range chain.Kinds {
		remedy := kind.Remedy
		if strings.HasPrefix(remedy, "if ") {
			remedy = "; " + remedy
		}
		all = append(all, row{"*." + kind.Code, Tunnel, warn, refused + kind.What, remedy})
	}
	return all
}
