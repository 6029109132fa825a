package certfile

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ReadPassword reads a password file: its only line, which isn't empty.
func ReadPassword(file string) (string, error) {
	password, err := readPassword(file)
	switch {
	case err != nil:
		return "", err
	case password == "":
		return "", fmt.Errorf("password file %q is empty: it must have one line of text, the password", file)
	case !utf8.ValidString(password):
		return "", fmt.Errorf("password file %q isn't UTF-8: save it as UTF-8, or other programs couldn't open what is made with it", file)
	}
	return password, nil
}

// readPassword reads a password file: its only line.
func readPassword(file string) (string, error) {
	data, err := ReadSecret("password file", file, 4096)
	if err != nil {
		return "", err
	}
	password := strings.TrimRight(string(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))), "\r\n")
	if strings.ContainsAny(password, "\r\n\x00") {
		return "", fmt.Errorf("password file %q must have one line of text, the password and nothing else", file)
	}
	return password, nil
}
