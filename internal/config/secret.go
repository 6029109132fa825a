package config

import "strings"

// namesSecret tells whether a secret may stand behind a key: a user who takes
// key_password_file for the password has written it there. Messages go to logs, so
// that they don't show such values.
func namesSecret(key string) bool {
	for _, part := range []string{"password", "passphrase", "secret", "eab_key"} {
		if strings.Contains(strings.ToLower(key), part) {
			return true
		}
	}
	return false
}

// noPEM reports the text of a file where its name belongs, and tells whether it
// isn't that. It may be a private key: no message shows it.
func (r *report) noPEM(path, text string) bool {
	ok := !strings.Contains(text, "-----BEGIN ")
	r.check(path, ok, "has the text of a certificate or key (PEM) in it: write that into a file, and here the name of the file")
	return ok
}
