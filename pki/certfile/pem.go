package certfile

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
)

// readLimited is ReadRegular, but an empty file is an error.
func readLimited(file string, limit int64) ([]byte, error) {
	data, err := ReadRegular(file, limit)
	if err == nil && len(data) == 0 {
		return nil, errors.New("it is empty")
	}
	return data, err
}

// ReadRegular reads a regular file of at most limit bytes. It refuses a pipe, on which it would
// wait, and a device that never ends.
func ReadRegular(file string, limit int64) ([]byte, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("it is a folder, a file is needed")
	case !info.Mode().IsRegular():
		return nil, errors.New("it isn't a regular file") // to open a FIFO could block for ever
	case info.Size() > limit:
		return nil, tooLarge(limit)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()

	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) > limit:
		return nil, tooLarge(limit) // the file has grown since the check
	}
	return data, nil
}

func tooLarge(limit int64) error { return fmt.Errorf("it is larger than %d MiB", limit>>20) }

// decodeAll also reports whether package pem skipped a block that it couldn't read. If that was
// the leaf, the next certificate would count as the leaf.
func decodeAll(data []byte) (blocks []*pem.Block, damaged bool) {
	begun := bytes.Count(append([]byte("\n"), data...), []byte("\n-----BEGIN "))
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return blocks, len(blocks) != begun
		}
		blocks = append(blocks, block)
		data = rest
	}
}

// looksLike guesses from the first bytes what a file without PEM is.
func looksLike(data []byte) string {
	switch {
	case isPKCS12(data):
		return "looks like PKCS#12 (.pfx, .p12), which isn't supported here"
	case isUTF16(data):
		return "is UTF-16 text, which isn't supported"
	}
	return "has no PEM in it"
}

// isUTF16 looks for a byte order mark, or, without one, for zeros in every second byte.
func isUTF16(text []byte) bool {
	return bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) ||
		bytes.IndexByte(text[:min(2, len(text))], 0) >= 0
}

const derSequence = 0x30

// isPKCS12 looks for the beginning of a PFX (RFC 7292, section 4): a sequence whose first
// element is the version 3.
func isPKCS12(data []byte) bool {
	if len(data) < 2 || data[0] != derSequence {
		return false
	}
	header := 2
	if data[1] > 0x80 { // a long length: the low bits say how many length bytes follow
		header += int(data[1] & 0x7f)
	}
	return len(data) > header && bytes.HasPrefix(data[header:], []byte{0x02, 0x01, 0x03})
}

// wrongBlock says what a PEM file contains instead of a what. It names known block types only:
// an unknown type may hold any text, a secret too. The hint is added if a certificate was found
// instead of a key, or a key instead of a certificate.
func wrongBlock(what, file string, blocks []*pem.Block, hint string) error {
	found, advice := "something else", ""
	if what == "certificate request" {
		advice = ": " + hint
	}
	for _, block := range blocks {
		known, ok := blockTypes[block.Type]
		if ok {
			found = known
		}
		if more, ok := moreAdvice[block.Type]; ok && what != "certificate request" {
			advice = ": " + more
		}
		if known == "a private key" || known == "a certificate" {
			advice = ": " + hint
			break
		}
	}
	return fmt.Errorf("%s %q holds %s where a %s is needed%s", what, file, found, whole[what], advice)
}

// Hints for [wrongBlock].
const (
	areSwapped = "are certificate and key swapped?"
	needCSR    = "ask for the request, which is often NAME.csr"
	needCA     = "name the ca.crt of the CA instead"
)

// moreAdvice says what to do with a block that can't be used as it is.
var moreAdvice = map[string]string{
	"TRUSTED CERTIFICATE":     "`openssl x509` converts it",
	"CERTIFICATE REQUEST":     "send it to a CA, and take what that sends back",
	"NEW CERTIFICATE REQUEST": "send it to a CA, and take what that sends back",
	"OPENSSH PRIVATE KEY":     "it is for SSH; take the key that the certificate was requested with",
	"PUBLIC KEY":              "take the file that was made together with it",
}

var whole = map[string]string{"certificate": "certificate", "key": "private key", "certificate request": "certificate request"}

var blockTypes = map[string]string{
	"CERTIFICATE":             "a certificate",
	"TRUSTED CERTIFICATE":     "a certificate in OpenSSL's own format",
	"CERTIFICATE REQUEST":     "a certificate request",
	"NEW CERTIFICATE REQUEST": "a certificate request",
	"PRIVATE KEY":             "a private key",
	"RSA PRIVATE KEY":         "a private key",
	"EC PRIVATE KEY":          "a private key",
	"ENCRYPTED PRIVATE KEY":   "a private key",
	"DSA PRIVATE KEY":         "a DSA key",
	"OPENSSH PRIVATE KEY":     "a key in OpenSSH's own format",
	"PUBLIC KEY":              "a public key",
	"EC PARAMETERS":           "nothing but EC parameters",
	"DH PARAMETERS":           "Diffie-Hellman parameters",
	"PKCS7":                   "PKCS#7",
	"X509 CRL":                "a revocation list",
}
