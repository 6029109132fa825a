package config

import "strings"

// namesSecret reports whether the value of a key may be a secret: a user may write the password
// itself at key_password_file. Messages go to logs, so they don't show such values.
func namesSecret(key string) bool {
	for _, part := range []string{"password", "passphrase", "secret", "eab_key"} {
		if strings.Contains(strings.ToLower(key), part) {
			return true
		}
	}
	return false
}

// noPEM reports an error if a value is the text of a PEM file instead of its name, and returns
// whether it is a name. The text may be a private key, so no message shows it.
func (r *report) noPEM(path, text string) bool {
	ok := !strings.Contains(text, "-----BEGIN ")
	r.check(path, ok, "has the text of a certificate or key (PEM) in it: write that into a file, and here the name of the file")
	return ok
}
