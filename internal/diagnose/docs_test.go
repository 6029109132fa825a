package diagnose

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/messages.md and docs/troubleshooting.md")

// The documents are made from the table. After a change of it:
//
//	go test ./internal/diagnose -run TestDocs -update
func TestDocs(t *testing.T) {
	for name, want := range map[string]string{"messages.md": messages(), "troubleshooting.md": troubleshooting()} {
		file := filepath.Join("..", "..", "docs", name)
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ReplaceAll(string(got), "\r\n", "\n") != want {
			t.Errorf("%s differs from the table: go test ./internal/diagnose -run TestDocs -update", name)
		}
	}
}

// Each code of a fault is in the list of symptoms, and the list has no other codes.
func TestEverySymptom(t *testing.T) {
	led := make(map[string]bool)
	for _, s := range symptoms {
		for _, code := range s.codes {
			if _, ok := rows[code]; !ok {
				t.Errorf("%q has the code %s, which no row has", s.title, code)
			}
			led[code] = true
		}
	}
	for code := range meaning {
		if !led[code] {
			t.Errorf("meaning has %s, to which no symptom leads", code)
		}
	}
	for code := range advice {
		if r, ok := rows[code]; !ok || r.remedy != "" {
			t.Errorf("advice has %s, which has no row, or one with a remedy", code)
		}
	}
	for _, section := range table {
		for _, r := range section.rows {
			if !led[r.code] && section.title != endsInOrder && r.level != debug {
				t.Errorf("no symptom leads to %s", r.code)
			}
		}
	}
}

// meaning replaces a row's sentence on the page of symptoms, if that sentence without its
// values doesn't distinguish the row from others.
var meaning = map[string]string{
	"target.slow_address":              "the target has several addresses, and this one doesn't answer",
	"target.not_tls":                   "the target isn't speaking TLS: its answer is FOUND",
	"target.plain":                     "the same, as `tlstunnel cert show` says it of a server",
	"*.old_suites_of_rsa":              "as before, and the SIDE also needs a certificate with an RSA key",
	"*.expired":                        "the SIDE's certificate has expired",
	"*.not_yet_valid":                  "the SIDE's certificate isn't valid yet, or this machine's clock is wrong",
	"*.expired_ca":                     "the certificate of a CA that this tunnel trusts has expired",
	"*.expired_intermediate":           "the certificate of an intermediate CA, which the SIDE sends, has expired",
	"target.closed_unanswered":         "the target, a plain program, closed before it had sent a byte",
	"target.behind_closed_unanswered":  "the target, a tunnel with TLS, closed before it had sent a byte, as the program behind it did",
	"target.reset_unanswered":          "the target reset the connection, or failed, before it had sent a byte: so does a tlstunnel with a target that is down, or that refuses this machine",
	"target.reset_without_certificate": "the target asked for a client certificate, got none, and reset the connection before it had sent a byte",
	"acme.name_not_ours":               "the CA tried to reach this machine by the name, and couldn't or found another one",
	"acme.name_without_address":        "the name has no address in the public DNS",
	"acme.other_ca_demanded":           "the DNS allows only other CAs for the name",
	"acme.check_limited":               "the CA has had too many requests to check the name",
	"acme.account":                     "the CA doesn't accept the account any more",
	"acme.rate_limited":                "the CA has had too many requests",
	"acme.customers_only":              "the CA takes only its customers",
	"acme.rejected_name":               "the CA doesn't issue certificates for the name",
	"acme.rejected_key":                "the CA doesn't take this kind of key",
	"acme.rejected_email":              "the CA doesn't take this email address",
	"acme.user_action":                 "the CA wants you to do something first, for example to agree to new terms",
	"acme.server_error":                "the CA itself has a fault",
	"acme.problem":                     "the CA refuses for another reason, and says which",
	"acme.dns":                         "the host name of directory can't be resolved",
	"acme.clock":                       "the CA's certificate isn't valid at the time that this machine's clock says",
	"acme.unknown_ca":                  "the certificate of directory comes from a CA that this machine doesn't trust",
	"acme.not_reached":                 "the CA can't be reached",
	"acme.failed":                      "the order failed for another reason, which follows",
}

// advice is for the page of messages, if a row has no remedy. A line of the log needn't
// repeat it each time.
var advice = map[string]string{
	"peer.denied":                      "nothing, if this peer is to stay out; otherwise take its network out of deny_from",
	"peer.not_allowed_from":            "nothing, if this peer is to stay out; otherwise add its network to allow_from",
	"tlstunnel.max_handshakes":         "nothing, if the peer floods this port; keep such peers out with allow_from, deny_from or a firewall",
	"tlstunnel.made_room":              "nothing, if a flood is under way; keep such peers out with allow_from, deny_from or a firewall",
	"tlstunnel.max_connections":        "raise the limit, or find out by the log which peers keep so many connections open",
	"tlstunnel.max_connections_per_ip": "raise the limit if the peer needs so many connections, or if several machines share its address (NAT)",
	"tlstunnel.no_turn":                "keep peers out that have no business here (allow_from, a firewall), or give the machine more cores",
	"*.no_protocol_offered":            "add the protocol of the {side} to alpn, or leave alpn empty",
	"*.no_protocol_in_common":          "add the protocol of the {side} to alpn, or leave alpn empty",
	"*.takes_ours_for_revoked":         "give this tunnel another certificate; for that of our own CA, run `tlstunnel cert renew --new-key`",
	"*.denies_access":                  "its administrator has to let in the subject or the names of tlstunnel's certificate, which `tlstunnel cert show` shows",
	"*.nothing_in_common":              "the log names what the {side} offers; update the {side}, or see which profile fits in [connections.md](connections.md#which-tls-profile)",
	"*.nothing_in_common_there":        "if it wants a client certificate, set cert and key; otherwise its own log knows more",
	"*.no_version_in_common":           "update the {side}; tlstunnel speaks TLS 1.2 and 1.3, and with profile = \"modern\" only 1.3",
	"*.weak_key":                       "the {side} needs a new key, and a certificate for it",
	"*.revoked":                        "find out why; if the {side} is to get in, give it another certificate",
	"*.ca_revoked":                     "find out why; the {side} needs a certificate from another CA",
	"peer.not_in_allow":                "nothing, if this peer is to stay out; otherwise add a rule to allow that its certificate has",
	"*.reset":                          "nothing, if it does so at the end of each connection; otherwise its own log knows why",
	"*.vanished":                       "find out whether the machine is on, and whether a firewall or NAT on the way forgets silent connections; a shorter keepalive prevents that",
	"*.closed_in_record":               "its own log knows why: it crashed, was killed, or something on the way ended the connection",
	"*.cut_off":                        "look at the proxies and firewalls on the way, and their time limits",
	"*.connection_failed":              "err in the log says what the system said",
	"peer.tls_failed":                  "err in the log says what the TLS library said",
	"target.tls_failed":                "err in the log says what the TLS library said",
	"target.not_connected":             "err in the log says what the system said",
	"tlstunnel.idle":                   "nothing, or raise idle_timeout if the program keeps silent connections open",
	"tlstunnel.half_close":             "nothing, or raise half_close_timeout if the program needs longer for its answer",
	"tlstunnel.grace_over":             "nothing, or raise shutdown_grace if connections should have longer to end",
	"acme.problem":                     "do what the CA says; it is asked again",
}

// messagesHead is the text before the part that is made from the table.
const messagesHead = `# Messages

Why a connection or an order for a certificate ended, by its ` + "`code`" + `: each sentence that
the log can have as ` + "`reason`" + `, and ` + "`tlstunnel status`" + ` as the last failure. The code stands beside it,
in the log and in ` + "`status --json`" + `. It stays the same from version to version, the sentence may
become better: let your monitoring match the code. Its first word is the side that it is about:
` + "`peer`, `target`, `tlstunnel`" + ` itself, or ` + "`acme`" + ` for a public CA.

A word in capitals stands for what was found, SIDE for peer or target. [...] is more that may
follow, if there is more to say. If you have a symptom and no message, begin with
[troubleshooting.md](troubleshooting.md).

This page is made from the program's own table (internal/diagnose).
`

func messages() string {
	var b strings.Builder
	b.WriteString(messagesHead)
	for _, s := range table {
		fmt.Fprintf(&b, "\n## %s\n", s.title)
		for _, r := range s.rows {
			fmt.Fprintf(&b, "\n### %s\n\n%s\n", heading(r.code), escape(r.shown(r.what)))
			if remedy := cmp.Or(strings.TrimPrefix(r.remedy, "; "), advice[r.code]); remedy != "" {
				fmt.Fprintf(&b, "\n*What to do:* %s\n", escape(r.shown(remedy)))
			}
			fmt.Fprintf(&b, "\nLevel `%s`, ended by %s.\n", strings.ToLower(r.level.String()), cmp.Or(r.by, "that side"))
		}
	}
	return b.String()
}

// heading is a code, or both sides' codes if the code has a *.
func heading(code string) string {
	if name, ok := strings.CutPrefix(code, "*"); ok {
		return fmt.Sprintf("`%s%s`, `%s%s`", Peer, name, Target, name)
	}
	return "`" + code + "`"
}

// anchor is the name of a heading, as GitHub makes it.
func anchor(heading string) string {
	return strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// shown is a text of r for readers who have no values for it.
func (r row) shown(text string) string {
	side, _, _ := strings.Cut(r.code, ".")
	if side == "*" {
		side = "SIDE"
	}
	return regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllStringFunc(text, func(word string) string {
		switch word {
		case "{side}":
			return side
		case "{whose}":
			return "the " + side + "'s certificate"
		case "{owner}":
			return "the " + side
		case "{more}":
			return " [...]"
		case "{err}":
			return "what the system or the TLS library says"
		case "{says}":
			return "the CA says \"...\""
		}
		return strings.ToUpper(strings.Trim(word, "{}"))
	})
}

// escape escapes what Markdown would take for its own syntax.
func escape(text string) string {
	return strings.NewReplacer("*", `\*`, "_", `\_`, "<", `\<`, "[...]", `\[...\]`, "[pki]", `\[pki\]`).Replace(text)
}

// troubleshootingHead is the text before the part that is made from the symptoms.
const troubleshootingHead = `# Troubleshooting

1. ` + "`tlstunnel status`" + ` says whether the service runs, which tunnel is left out or has a target that
   is down, and what failed last. If the service doesn't run, ` + "`tlstunnel start`" + ` says why.
2. ` + "`tlstunnel check`" + ` says what is wrong with the config and the files that it names.
3. The log has one line for each connection, at its end. In it, ` + "`reason`" + ` says what happened and
   what to do, and ` + "`code`" + ` is the name of that, which leads to [messages.md](messages.md). ` + "`tlstunnel status`" + `
   says where the log is. If a connection leaves no line there, it didn't get to tlstunnel: look at the
   firewall and at the address that the client connects to.
4. ` + "`tlstunnel cert show HOST:PORT`" + ` makes a TLS handshake with a server and says what it sends,
   and who trusts that.

These commands are about the installed service, and need its config: run them with ` + "`sudo`" + `, or in
a prompt of an administrator. If you run ` + "`tlstunnel run`" + ` yourself, run them as the same user, and
with the same ` + "`--config FILE`" + `.

With ` + "`[log] level = \"debug\"`" + `, the log also has what port scanners and health checks do.

The rest of this page is made from the program's own table (internal/diagnose).
`

func troubleshooting() string {
	var b strings.Builder
	b.WriteString(troubleshootingHead)
	for _, s := range symptoms {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| code | what it means |\n|---|---|\n", s.title, s.advice)
		for _, code := range s.codes {
			r := rows[code]
			what := cmp.Or(meaning[code], r.what)
			fmt.Fprintf(&b, "| [%s](messages.md#%s) | %s |\n", heading(code), anchor(heading(code)), strings.ReplaceAll(escape(r.shown(what)), "|", `\|`))
		}
	}
	return b.String()
}

// symptom is what a user sees, with the codes that can be its cause.
type symptom struct {
	title, advice string
	codes         []string
}

// codesOf are the codes in a section of the table.
func codesOf(title string) (codes []string) {
	i := slices.IndexFunc(table, func(s section) bool { return s.title == title })
	for _, r := range table[i].rows {
		codes = append(codes, r.code)
	}
	return codes
}

const endsInOrder = "Ends in order"

var symptoms = []symptom{
	{"A client is reset at once",
		"tlstunnel accepts the connection and resets it, or does so right after the handshake. An address rule, a limit, or the certificate of the client is the reason.",
		slices.Concat(codesOf("Admission"), codesOf("Authorization"))},
	{"The target can't be reached",
		"The client is connected and then reset, or sees the end of its stream. The line in the log is `target failed`, and `status` shows the target as down.",
		codesOf("Connecting to the target")},
	{"The client doesn't get through the handshake",
		"The line in the log is `handshake failed`. With a program that has no TLS, put a tunnel in client mode in front of it.",
		[]string{"peer.not_tls", "peer.silent", "peer.handshake_timeout", "peer.left_handshake", "peer.name_with_dot", "peer.no_certificate", "peer.tls_failed", "*.no_protocol_offered"}},
	{"The target doesn't get through the handshake",
		"A tunnel in client mode connects, and TLS fails. `tlstunnel cert show HOST:PORT` shows what the target sends.",
		[]string{"target.not_tls", "target.plain", "target.handshake_timeout", "target.left_handshake", "target.tls_failed", "*.unknown_name", "*.no_protocol_in_common", "*.alert"}},
	{"An old device or program can't connect",
		"It has only old versions, cipher suites or kinds of keys. `profile = \"legacy\"` lets in what is old but not broken, see [connections.md](connections.md#which-tls-profile).",
		[]string{"peer.old_version", "target.old_version", "*.old_suites", "*.old_suites_of_rsa", "peer.slow_key_exchange", "*.takes_other_key", "*.nothing_in_common", "*.nothing_in_common_there", "*.no_version_in_common", "*.sha1_alone", "*.renegotiates"}},
	{"tlstunnel refuses the certificate of the other side",
		"If the other side is a tlstunnel, `tlstunnel ca export` there writes `ca.crt`, the certificate of its CA. Copy it to this machine, and name it in `ca` (mode client) or `client_ca` (mode server). Verification can't be switched off. If there is no CA to trust, pin a key: see [peers.md](peers.md).",
		codesOf("Certificates that tlstunnel refuses")},
	{"The other side refuses the certificate of tlstunnel, or wants one",
		"It says so by an alert, or just leaves. Its own log knows more. `tlstunnel cert show` shows what tlstunnel has.",
		[]string{"*.wants_certificate", "target.wants_other_ca", "target.wants_other_key", "target.reset_without_certificate", "*.refuses_ours", "*.distrusts_our_ca", "*.takes_ours_for_expired", "*.takes_ours_for_revoked", "*.refuses_ours_silently", "*.denies_access"}},
	{"The connection stands, but no answer comes",
		"Both sides are connected, and the target ends before it has sent a byte. Often it is the wrong port: the TLS port of a target where its plain one should be.",
		[]string{"target.speaks_tls", "target.behind_speaks_tls", "target.closed_unanswered", "target.behind_closed_unanswered", "target.reset_unanswered"}},
	{"A transfer ends in the middle",
		"The line in the log is `connection interrupted`. `to_target` and `to_peer` in it say how far the transfer came, `ended_by` who gave up.",
		append([]string{"*.reset", "*.vanished", "*.closed_in_record", "*.cut_off", "*.no_close_notify", "*.connection_failed"}, codesOf("Time limits and stops")...)},
	{"A public CA gives no certificate",
		"`status` shows the failure and when the CA is asked again, and so does the log. See [public-ca.md](public-ca.md).",
		codesOf("Certificates from a public CA")},
	{"It fails only under load",
		"There are more connections or handshakes than a limit allows, or than this machine can do.",
		[]string{"tlstunnel.no_turn", "tlstunnel.max_handshakes", "tlstunnel.made_room", "tlstunnel.max_connections", "tlstunnel.max_connections_per_ip", "tlstunnel.too_many_files"}},
}
