package config

import "time"

// A day and a year are fixed durations: they know no leap years and no daylight saving time.
const (
	day  = 24 * time.Hour
	year = 365 * day
)

// mib is the value of "MB" in a size.
const mib = 1 << 20

// defaults returns the config of an empty file. Validation fills in values that depend on the
// machine or on other keys.
func defaults() *Config {
	return &Config{
		ShutdownGrace: 10 * time.Second,
		Log: Log{
			Level:      "info",
			Format:     "text",
			MaxSize:    20 * mib,
			MaxBackups: 10,
			MaxAge:     30 * day,
			Compress:   true,
		},
		PKI: PKI{
			KeyType:      "ecdsa-p256",
			CAValidity:   20 * year,
			CertValidity: 1 * year,
		},
	}
}

// defaultTunnel returns the tunnel of an empty [[tunnel]].
func defaultTunnel() Tunnel {
	return Tunnel{
		ClientAuth:       "none",
		CRLExpired:       CRLExpiredRefuse,
		Profile:          "default",
		CloseNotify:      "auto",
		HandshakeTimeout: 10 * time.Second,
		ConnectTimeout:   10 * time.Second,
		Keepalive:        30 * time.Second,
		HalfCloseTimeout: 60 * time.Second,
	}
}
