package config

import (
	"net/url"
	"strings"
)

// letsEncrypt is the default, as most people get their certificates there.
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

const byACME = "has no place beside acme, by which the tunnel gets its certificate: remove one of the two"

// acme checks the table of a tunnel and fills in its defaults.
func (r *report) acme(i int, t *Tunnel) {
	table := tunnelKey(i, "acme")
	if t.Mode == ModeClient || r.wrong[table] || !r.cfg.positions.has(table) {
		t.ACME = ACME{} // the check of the mode reports the table of a client tunnel
		return
	}
	r.check(tunnelKey(i, "cert"), t.Cert == "", byACME)
	r.check(tunnelKey(i, "key"), t.Key == "", byACME)
	r.check(tunnelKey(i, "key_password_file"), t.KeyPasswordFile == "", byACME)
	a := &t.ACME
	if a.Directory == "" {
		a.Directory = letsEncrypt
	}
	directory, err := url.Parse(a.Directory)
	r.check(join(table, "directory"), err == nil && directory.Scheme == "https" && directory.Host != "" && directory.User == nil,
		"%q is no URL of a CA: write one such as %q", a.Directory, letsEncrypt)
	user, host, ok := strings.Cut(a.Email, "@")
	r.check(join(table, "email"), a.Email == "" || ok && user != "" && checkDNSName(host) == nil && isWord(user, "0123456789.+-_"),
		`%q is no mail address: write one such as "it@clinic.example", in ASCII`, a.Email)
	r.acmeDomains(join(table, "domains"), a.Domains)
	r.acmeChallenge(i, t)
	r.acmeBinding(table, a)
	for j, protocol := range t.ALPN {
		r.check(element(tunnelKey(i, "alpn"), j), protocol != "acme-tls/1", `has "acme-tls/1", which belongs to the challenges of acme alone: remove it`)
	}
}

func (r *report) acmeDomains(path string, domains []string) {
	r.check(path, len(domains) > 0, `is missing: write the names by which clients reach this tunnel, such as ["pacs.clinic.example"]`)
	r.check(path, len(domains) <= 100, "has %d names: CAs take at most 100 for one certificate", len(domains))
	for j, domain := range domains {
		path := element(path, j)
		if strings.HasPrefix(domain, "*.") {
			r.errorf(path, "%q is a wildcard, which neither challenge can prove: write each name out", domain)
		} else if parent := strings.TrimSuffix(domain, "."); parent != domain {
			r.errorf(path, "%q ends in a dot: write %q", domain, parent)
		} else if strings.Trim(domain, "0123456789.:[]") == "" || strings.Contains(domain, ":") {
			r.errorf(path, "%q is no DNS name: write a name that the public DNS knows; an address can't be proved", domain)
		} else if err := checkDNSName(domain); err != nil {
			r.errorf(path, "%q %v", domain, err)
		}
		domains[j] = strings.ToLower(domain)
	}
}

func (r *report) acmeChallenge(i int, t *Tunnel) {
	a, table := &t.ACME, tunnelKey(i, "acme")
	challenge, httpListen := join(table, "challenge"), join(table, "http_listen")
	if a.Challenge == "" {
		a.Challenge = ChallengeTLS
	}
	r.word(challenge, a.Challenge, ChallengeTLS, ChallengeHTTP)
	switch {
	case r.wrong[challenge]:
	case a.Challenge == ChallengeTLS:
		r.check(httpListen, a.HTTPListen == "", `has no effect with challenge = %q: write challenge = %q, or remove http_listen`, ChallengeTLS, ChallengeHTTP)
		if len(t.AllowFrom)+len(t.DenyFrom) > 0 {
			r.warnf(challenge, `%q needs everybody to reach this tunnel, as a CA asks from many addresses, and allow_from or deny_from may keep it out: write challenge = %q, which uses port 80`, ChallengeTLS, ChallengeHTTP)
		}
	case a.HTTPListen == "":
		a.HTTPListen = ":80"
	default:
		if _, err := parseAddress(a.HTTPListen, "80"); err != nil {
			r.errorf(httpListen, "%q %v", a.HTTPListen, err)
		}
	}
}

// acmeBinding checks the external account binding. By it a CA knows which customer an account
// belongs to.
func (r *report) acmeBinding(table string, a *ACME) {
	kid, key := join(table, "eab_kid"), join(table, "eab_key_file")
	if !r.wrong[kid] && !r.wrong[key] {
		r.check(kid, a.EABKid == "" || a.EABKeyFile != "", "is set without eab_key_file: name the file with the key that the CA gave you with it")
		r.check(key, a.EABKeyFile == "" || a.EABKid != "", "is set without eab_kid: write the key ID that the CA gave you with it")
	}
}
