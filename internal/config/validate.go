package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// validate checks what the type of a value can't show. It also fills in the values that depend on
// the machine or on other keys.
func (r *report) validate() {
	c := r.cfg
	r.check("shutdown_grace", c.ShutdownGrace <= time.Hour, "must be at most 1h")
	r.log(&c.Log)
	r.pki(&c.PKI)
	r.subject(&c.PKI.Subject)
	r.tunnels(c.Tunnels)
	r.paths()
	r.logFile(&c.Log, c)
}

func (r *report) log(l *Log) {
	r.word("log.level", l.Level, "debug", "info", "warn", "error")
	r.word("log.format", l.Format, "text", "json")
	r.check("log.max_size", l.MaxSize >= mib && l.MaxSize%mib == 0,
		`must be a whole number of megabytes, "1MB" or more`)
	r.check("log.max_age", l.MaxAge%day == 0, `must be whole days: write one such as "30d", or "0d" to keep for ever`)
	if l.File == "" {
		l.File = DefaultPaths().Log
	}
}

// logFile reports a log file that the config also uses for something else: the log would append
// its lines to it. The log then goes to the default file, where it can say why we didn't start.
func (r *report) logFile(l *Log, c *Config) {
	what := c.uses(l.File)
	if l.File == Console || what == "" {
		return
	}
	r.errorf("log.file", "is %s: log lines would end up there; name another file", what)
	l.File = DefaultPaths().Log
	if c.uses(l.File) != "" {
		l.File = Console
	}
}

// uses returns what the config uses a file for, apart from the log, or "".
func (c *Config) uses(file string) string {
	if samePath(file, c.File) {
		return "this config"
	}
	if samePath(file, c.PKI.Dir) || samePath(filepath.Dir(file), c.PKI.Dir) {
		return "in the folder of the PKI (pki.dir)"
	}
	for _, f := range c.Files() {
		if f.Tunnel >= 0 && samePath(f.Path, file) {
			return fmt.Sprintf("the %s of tunnel %q", keyName(f.Key), c.Tunnels[f.Tunnel].Name)
		}
	}
	return ""
}

func (r *report) pki(p *PKI) {
	r.word("pki.key_type", p.KeyType, "ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096", "ed25519")
	r.validity("pki.ca_validity", p.CAValidity)
	r.validity("pki.cert_validity", p.CertValidity)
	if !r.wrong["pki.ca_validity"] {
		r.check("pki.cert_validity", p.CertValidity <= p.CAValidity,
			"is longer than ca_validity: no certificate can outlive its CA")
	}
	for i, name := range p.Names {
		p.Names[i] = withoutDot(name)
		err := checkHost(p.Names[i])
		if parent, ok := strings.CutPrefix(p.Names[i], "*."); ok {
			err = checkDNSName(parent)
		}
		if err != nil {
			r.errorf(element("pki.names", i), "%q %v", name, err)
		}
	}
	if p.Dir == "" {
		p.Dir = DefaultPaths().PKI
	}
}

func (r *report) validity(path string, d time.Duration) {
	r.check(path, time.Hour <= d && d <= 100*year, "must be from 1h to 100y")
}

// subject checks the limits of X.520: other programs refuse a certificate that exceeds them.
func (r *report) subject(s *Subject) {
	for _, field := range []struct {
		key, value string
		max        int
	}{
		{"state", s.State, 128},
		{"locality", s.Locality, 128},
		{"organization", s.Organization, 64},
		{"organizational_unit", s.OrganizationalUnit, 64},
		{"common_name", s.CommonName, 64},
		{"email", s.Email, 255},
	} {
		path := join("pki.subject", field.key)
		r.check(path, utf8.RuneCountInString(field.value) <= field.max, "is longer than %d characters", field.max)
		if i := strings.IndexFunc(field.value, isUnprintable); i >= 0 {
			c, _ := utf8.DecodeRuneInString(field.value[i:])
			r.errorf(path, "%q has the character %U, which can't be printed and was probably pasted: type the text anew", field.value, c)
		}
	}
	r.check("pki.subject.country", s.Country == "" || len(s.Country) == 2 && isWord(s.Country, ""),
		`%q is no country code: write two letters such as "DE"`, s.Country)
	user, host, ok := strings.Cut(s.Email, "@")
	notASCII := func(c rune) bool { return c <= ' ' || c > '~' || c == '@' }
	r.check("pki.subject.email", s.Email == "" ||
		ok && user != "" && host != "" && !strings.ContainsFunc(user+host, notASCII),
		`%q is no mail address: write one such as "it@clinic.example", in ASCII`, s.Email)
}

func isUnprintable(c rune) bool { return !unicode.IsPrint(c) } // of all spaces, only the blank is printable

// word reports an error if a value isn't one of the words.
func (r *report) word(path, value string, words ...string) {
	if slices.Contains(words, value) {
		return
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	last := len(quoted) - 1
	text := strings.Join(quoted[:last], ", ") + " or " + quoted[last]
	if meant, ok := nearest(value, words); ok {
		text += fmt.Sprintf("; did you mean %q?", meant)
	}
	r.errorf(path, "%q isn't known: write %s", value, text)
}

// isWord reports whether text has only ASCII letters and the characters of also.
func isWord(text, also string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune(also, c)
	})
}

// paths checks every value that names a file.
func (r *report) paths() {
	r.cfg.eachFile(func(f File, path *string) { r.path(pathOf(f.Tunnel, f.Key), path) })
}

// path makes a file name absolute. A relative path starts in the folder of the config.
func (r *report) path(path string, file *string) {
	if strings.ContainsFunc(*file, unicode.IsControl) {
		if namesSecret(path) {
			r.errorf(path, "has a control character: %s", backslashes)
		} else {
			r.errorf(path, "%q has a control character: %s", *file, backslashes)
		}
		return
	}
	if variable.MatchString(*file) {
		r.errorf(path, isVariable)
		return
	}
	if *file != "" && !filepath.IsAbs(*file) {
		*file = filepath.Join(filepath.Dir(r.cfg.File), *file)
	}
}
