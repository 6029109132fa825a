package config

import (
	"strconv"
	"strings"
	"time"
)

const targetMissing = `is missing: write where to connect to, such as "127.0.0.1:104"`

func (r *report) tunnels(tunnels []Tunnel) {
	if len(tunnels) == 0 && !r.wrong["tunnel"] {
		// This is only a warning, because a service may start before it has its first tunnel.
		text := "there is no tunnel yet: uncomment one of the examples"
		if strings.TrimSpace(r.cfg.positions.src) == "" {
			text = "the file is empty: delete it, and `tlstunnel init` writes a commented one"
		}
		r.add("", true, func() string { return text + ", or write a [[tunnel]] with name, mode, listen and target" })
	}
	names := map[string]int{} // name to the first tunnel that has it
	for i := range tunnels {
		t := &tunnels[i]
		r.name(i, t, names)
		r.mode(i, t.Mode)
		r.endpoints(i, t)
		r.acme(i, t)
		r.certificates(i, t)
		r.settings(i, t)
	}
	r.loops(tunnels, r.conflicts(tunnels))
}

func (r *report) name(i int, t *Tunnel, names map[string]int) {
	path := tunnelKey(i, "name")
	r.check(path, t.Name != "", `is missing: write one such as "pacs"; logs and errors show it`)
	for _, c := range t.Name {
		what := strconv.Quote(string(c))
		if c == ' ' {
			what = "a space"
		}
		r.check(path, isWord(string(c), "0123456789-_."),
			"%q has %s in it: a name has only letters from a to z, digits and any of - _ .", t.Name, what)
	}
	r.check(path, len(t.Name) <= 64, "%q has %d characters: it must be at most 64", t.Name, len(t.Name))
	j, taken := names[t.Name]
	if !taken {
		names[t.Name] = i
		return
	}
	r.errorf(path, "is the same as that of the tunnel in line %d: each needs its own%s", r.line(j, "name"), copied(t, &r.cfg.Tunnels[j]))
}

// copied returns a question for the end of an error if two tunnels look like one that was pasted
// twice.
func copied(a, b *Tunnel) string {
	if a.Name == b.Name && a.Listen == b.Listen && a.Listen != "" {
		return "; is this tunnel in the file twice?"
	}
	return ""
}

// line returns the line of a tunnel's key.
func (r *report) line(tunnel int, key string) int {
	p := &r.cfg.positions
	return p.line(p.offset(tunnelKey(tunnel, key)))
}

// wrongMode holds the keys that have no meaning in a mode.
var wrongMode = map[string][]struct{ key, advice string }{
	ModeServer: {
		{"server_name", "remove it: here, clients check our name"},
		{"ca", "did you mean client_ca?"},
		{"pins", `did you mean allow, which takes "sha256:…" for the keys of clients?`},
	},
	ModeClient: {
		{"acme", "remove it: here, we are the TLS client, and need no certificate that the public trusts"},
		{"client_auth", "remove it: here, we are the TLS client"},
		{"client_ca", "did you mean ca?"},
		{"allow", "remove it: here, we are the TLS client; server_name and pins say who the server must be"},
	},
}

var otherMode = map[string]string{ModeServer: ModeClient, ModeClient: ModeServer}

// mode checks the mode, and reports the keys that have no meaning in it.
func (r *report) mode(i int, mode string) {
	path := tunnelKey(i, "mode")
	r.check(path, mode != "", `is missing: write "server" (TLS comes in) or "client" (TLS goes out)`)
	r.word(path, mode, ModeServer, ModeClient)
	for _, w := range wrongMode[mode] {
		path := tunnelKey(i, w.key)
		r.check(path, !r.cfg.positions.has(path), "is only for tunnels with mode = %q: %s", otherMode[mode], w.advice)
	}
}

// endpoints checks listen and target, each by itself and with the other.
func (r *report) endpoints(i int, t *Tunnel) {
	listenKey, targetKey := tunnelKey(i, "listen"), tunnelKey(i, "target")
	r.check(listenKey, t.Listen != "", `is missing: write where to accept connections, such as ":2762" or "127.0.0.1:11112"`)
	listen, err := parseAddress(t.Listen, "2762")
	if err != nil {
		r.errorf(listenKey, "%q %v", t.Listen, err)
	}
	r.check(targetKey, len(t.Target) > 0, targetMissing)
	for j, text := range t.Target {
		r.target(element(targetKey, j), text, t, listen)
	}
	if t.Mode == ModeClient && !listen.loopback() && len(t.AllowFrom) == 0 && !r.wrong[tunnelKey(i, "allow_from")] {
		r.warnf(listenKey, `%q lets anybody who reaches it use this tunnel, in plain text: `+
			`listen on 127.0.0.1, or set allow_from`, t.Listen)
	}
}

func (r *report) target(path, text string, t *Tunnel, listen address) {
	target, err := parseAddress(text, "104")
	switch {
	case strings.Trim(text, "0123456789") == "": // parseAddress would advise ":104"
		r.errorf(path, "%q has no host: write %q", text, "127.0.0.1:"+text)
	case err != nil:
		r.errorf(path, "%q %v", text, err)
	case target.host == "":
		r.errorf(path, "%q has no host: write %q", text, "127.0.0.1"+text)
	case target.port == 0:
		r.errorf(path, "%q has port 0: write the port that the target listens on, 1 to 65535", text)
	case target.reaches(listen):
		r.errorf(path, "%q is what this tunnel itself listens on: it would connect to itself for ever", text)
	case t.Mode == ModeServer && !target.loopback():
		r.warnf(path, "%q isn't on this machine: the bytes go there in plain text, over the network", text)
	}
}

// certificates checks the keys that name a certificate or a CA.
func (r *report) certificates(i int, t *Tunnel) {
	cert, key, clientCA := tunnelKey(i, "cert"), tunnelKey(i, "key"), tunnelKey(i, "client_ca")
	password := tunnelKey(i, "key_password_file")
	if !r.wrong[cert] && !r.wrong[key] {
		r.check(password, t.KeyPasswordFile == "" || t.Cert != "" && t.Cert != Own, "has no key to decrypt: name the certificate and its key with cert and key, or remove it")
		r.check(key, t.Key == "" || t.Cert != "", "is set without cert: name the file with its certificate")
		r.check(key, t.Key == "" || t.Cert != Own, `has no place beside cert = "own", which has its own key: remove it`)
	}
	if t.Cert == Own && t.Mode == ModeServer {
		t.Cert = ""
	}

	clientAuth := tunnelKey(i, "client_auth")
	r.word(clientAuth, t.ClientAuth, "none", ClientAuthRequire)
	r.check(clientCA, t.ClientAuth == ClientAuthRequire || len(t.ClientCA) == 0 || r.wrong[clientAuth],
		`has no effect while client_auth is "none": write client_auth = "require", or remove client_ca`)
	if t.ClientAuth == ClientAuthRequire && len(t.ClientCA) == 0 {
		t.ClientCA = []string{Own}
	}
	r.authorization(i, t)
	for j, text := range t.Pins {
		pin, err := parsePin(text)
		if err != nil {
			r.errorf(element(tunnelKey(i, "pins"), j), "%q %v", text, err)
			continue
		}
		t.Pins[j] = pin
	}
}

// authorization checks the keys that demand more of a certificate than its CA.
func (r *report) authorization(i int, t *Tunnel) {
	allow, crl, crlExpired := tunnelKey(i, "allow"), tunnelKey(i, "crl"), tunnelKey(i, "crl_expired")
	asks := t.Mode != ModeServer || t.ClientAuth == ClientAuthRequire || r.wrong[tunnelKey(i, "client_auth")]
	const advice = `has no effect while client_auth is "none": write client_auth = "require", or remove %s`
	r.check(allow, asks || len(t.Allow) == 0, advice, "allow")
	r.check(crl, asks || len(t.CRL) == 0, advice, "crl")
	r.check(crl, t.Mode != ModeClient || len(t.CRL) == 0 || len(t.CA) > 0 || r.wrong[tunnelKey(i, "ca")],
		"needs ca: name there the certificate of the CA that the CRL is from")
	r.word(crlExpired, t.CRLExpired, CRLExpiredRefuse, "warn")
}

// maxKeepalive is a round number below the 32767 s that Linux takes as
// TCP_KEEPIDLE.
const maxKeepalive = 9 * time.Hour

// settings checks the keys of both modes that don't depend on other keys.
func (r *report) settings(i int, t *Tunnel) {
	r.word(tunnelKey(i, "profile"), t.Profile, "default", "modern", "legacy")
	r.word(tunnelKey(i, "close_notify"), t.CloseNotify, "auto", CloseNotifyRequire)
	for j, protocol := range t.ALPN {
		r.check(element(tunnelKey(i, "alpn"), j), len(protocol) <= 255, "must be at most 255 bytes")
	}
	if err := checkHost(withoutDot(t.ServerName)); t.ServerName != "" && err != nil {
		r.errorf(tunnelKey(i, "server_name"), "%q %v", t.ServerName, err)
	}
	t.ServerName = withoutDot(t.ServerName)
	for key, d := range map[string]time.Duration{
		"handshake_timeout": t.HandshakeTimeout,
		"connect_timeout":   t.ConnectTimeout,
	} {
		r.check(tunnelKey(i, key), 0 < d && d <= time.Hour, "must be more than 0s and at most 1h")
	}
	r.check(tunnelKey(i, "half_close_timeout"), t.HalfCloseTimeout > 0, "must be more than 0s")
	r.check(tunnelKey(i, "keepalive"), t.Keepalive == 0 || t.Keepalive >= time.Second && t.Keepalive <= maxKeepalive,
		`must be "0s" (off), or at least 1s and at most 9h`)
}
