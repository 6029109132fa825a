// Package config reads tlstunnel's TOML file: types, defaults, strict loading
// and validation, with a position in every message.
//
// It opens only the file that it is asked to load. The package that uses a certificate
// finds out whether the file exists and fits its key, and reports through
// [Config.Problem] to get the same kind of message.
//
//	cfg, problems, err := config.Load("/etc/tlstunnel/config.toml")
package config

import (
	"net/netip"
	"strings"
	"time"
)

// Config is one loaded file. Load fills in every default, so a reader never
// has to know what an absent key means. It isn't changed after Load and may be
// read by several goroutines.
type Config struct {
	// File is the absolute path that the config was loaded from.
	File string

	// ShutdownGrace is how long a stop waits for connections to end by
	// themselves.
	ShutdownGrace time.Duration `toml:"shutdown_grace"`

	// Watch makes the service reload when this file, or a file that it names, has
	// changed.
	Watch bool `toml:"watch"`

	Log     Log      `toml:"log"`
	PKI     PKI      `toml:"pki"`
	Tunnels []Tunnel `toml:"tunnel"`

	positions positions
	problems  Problems        // what Parse found
	wrong     map[string]bool // the paths of the values with an error
}

// Err returns the [Problems.Err] of the loaded file. If it isn't nil, use the config only to look
// for more mistakes.
func (c *Config) Err() error { return c.problems.Err() }

// IsBroken reports whether a value of the tunnel with this index, or a value that applies to all
// tunnels, has an error. If so, the config has another value in its place, perhaps a weaker one.
func (c *Config) IsBroken(tunnel int) bool {
	for path := range c.wrong {
		if i := tunnelIndex(path); i == tunnel || i < 0 {
			return true
		}
	}
	return false
}

// IsWrong reports whether the value of a key, or a part of the value, has an error. The key is
// written as for [Config.Problem]. If the value has an error, a second error would only confuse.
func (c *Config) IsWrong(tunnel int, key string) bool {
	at := tunnelKey(tunnel, key)
	for path := range c.wrong {
		if path == at || strings.HasPrefix(path, at+".") || strings.HasPrefix(path, at+"[") {
			return true
		}
	}
	return false
}

// Log says what is logged and where.
type Log struct {
	Level      string        `toml:"level"`       // debug, info, warn, error
	Format     string        `toml:"format"`      // text, json
	File       string        `toml:"file"`        // absolute, or "-": stderr only
	MaxSize    int64         `toml:"max_size"`    // bytes, whole MiB
	MaxBackups int           `toml:"max_backups"` // 0: keep all
	MaxAge     time.Duration `toml:"max_age"`     // whole days; 0: keep for ever
	Compress   bool          `toml:"compress"`
}

// PKI says how our own CA and server certificate are made on first run, and
// where they live.
type PKI struct {
	Dir          string        `toml:"dir"` // absolute
	KeyType      string        `toml:"key_type"`
	CAValidity   time.Duration `toml:"ca_validity"`
	CertValidity time.Duration `toml:"cert_validity"`
	Names        []string      `toml:"names"` // DNS names and IP addresses
	Subject      Subject       `toml:"subject"`
}

// Subject holds the fields of a certificate's subject. The certificate doesn't have the empty
// fields.
type Subject struct {
	Country            string `toml:"country"`
	State              string `toml:"state"`
	Locality           string `toml:"locality"`
	Organization       string `toml:"organization"`
	OrganizationalUnit string `toml:"organizational_unit"`
	CommonName         string `toml:"common_name"`
	Email              string `toml:"email"`
}

// ACME says how a server tunnel gets its certificate by the protocol ACME (RFC 8555), from a
// public CA or from a CA of the company. It is zero if the tunnel has no table acme.
type ACME struct {
	Directory   string   `toml:"directory"`    // the URL of the CA
	DirectoryCA string   `toml:"directory_ca"` // absolute path; empty: the system's roots
	Email       string   `toml:"email"`
	Domains     []string `toml:"domains"`      // never empty
	Challenge   string   `toml:"challenge"`    // ChallengeTLS, ChallengeHTTP
	HTTPListen  string   `toml:"http_listen"`  // host:port; only with ChallengeHTTP
	EABKid      string   `toml:"eab_kid"`      // empty if EABKeyFile is, and only then
	EABKeyFile  string   `toml:"eab_key_file"` // absolute path
}

// Enabled reports whether the tunnel has the table acme.
func (a *ACME) Enabled() bool { return a.Directory != "" }

// The challenges: how the CA verifies that a domain is ours.
const (
	ChallengeTLS  = "tls-alpn-01" // the CA connects to the tunnel itself, on port 443
	ChallengeHTTP = "http-01"     // the CA asks a web server on port 80
)

// Console as the log file means that the log goes to stderr only.
const Console = "-"

// The modes of a tunnel.
const (
	ModeServer = "server" // TLS in, plain out
	ModeClient = "client" // plain in, TLS out
)

// Values of keys that decide what a tunnel requires of TLS.
const (
	ClientAuthRequire = "require" // a client certificate
	CRLExpiredRefuse  = "refuse"  // refuse all certificates of a CA whose CRL has expired

	CloseNotifyRequire = "require" // close_notify at the end of each TLS stream
)

// Own means our own CA in a list of CA files. As a certificate it means our own server
// certificate.
const Own = "own"

// Tunnel is one pair of endpoints.
type Tunnel struct {
	Name   string   `toml:"name"`
	Mode   string   `toml:"mode"`   // ModeServer, ModeClient
	Listen string   `toml:"listen"` // host:port, the host may be empty
	Target []string `toml:"target"` // host:port; tried in this order

	// All are absolute paths or empty. In server mode an empty Cert means our own server
	// certificate. In client mode Cert must be Own for that. If there is a Cert but no Key, the
	// file of Cert has both (PKCS#12).
	Cert            string `toml:"cert"`
	Key             string `toml:"key"`
	KeyPasswordFile string `toml:"key_password_file"`

	// Server mode only.
	ACME       ACME     `toml:"acme"`        // zero: Cert and Key, or our own server certificate
	ClientAuth string   `toml:"client_auth"` // none, require
	ClientCA   []string `toml:"client_ca"`   // absolute paths, or Own; never empty when ClientAuth is require
	Allow      []Rule   `toml:"allow"`       // empty: all with a certificate from ClientCA

	// Client mode only.
	ServerName string   `toml:"server_name"` // empty: the host of the target
	CA         []string `toml:"ca"`          // absolute paths, or Own; empty: the system's roots
	Pins       []string `toml:"pins"`        // "sha256:" and base64; if there is no CA, a pin is enough

	// CRLs of the CAs in ClientCA or CA.
	CRL        []string `toml:"crl"`         // absolute paths
	CRLExpired string   `toml:"crl_expired"` // refuse, warn

	Profile string   `toml:"profile"` // default, modern, legacy
	ALPN    []string `toml:"alpn"`

	CloseNotify string `toml:"close_notify"` // auto, require

	AllowFrom           []netip.Prefix `toml:"allow_from"`             // empty: anybody
	DenyFrom            []netip.Prefix `toml:"deny_from"`              // wins over AllowFrom
	MaxConnections      int            `toml:"max_connections"`        // 0: no limit
	MaxConnectionsPerIP int            `toml:"max_connections_per_ip"` // 0: no limit

	HandshakeTimeout time.Duration `toml:"handshake_timeout"`
	ConnectTimeout   time.Duration `toml:"connect_timeout"`
	IdleTimeout      time.Duration `toml:"idle_timeout"` // 0: never
	Keepalive        time.Duration `toml:"keepalive"`    // 0: off
	HalfCloseTimeout time.Duration `toml:"half_close_timeout"`
}
