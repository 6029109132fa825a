package certfile

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/youmark/pkcs8"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"tlstunnel/internal/chain"
	"tlstunnel/internal/quote"
)

// errEncrypted means that a password is needed and there is none. It continues a sentence after
// the name of the file.
var errEncrypted = errors.New("is encrypted: write its password into a file that only the user that runs tlstunnel may read, and name that as key_password_file of the tunnel, or with --password-file")

// readBlocks reads a file that should hold a what (certificate or key), in PEM, DER, PKCS#7 or
// PKCS#12. It returns at least one PEM block. passwordFile is for encrypted content, and may be
// "". The errors never show the content of the files.
func readBlocks(what, file, passwordFile, want string, limit int64) ([]*pem.Block, error) {
	data, err := readInput(what, file, limit)
	if err != nil {
		return nil, err
	}
	// A byte order mark, which Windows editors put there, would hide the
	// first block from package pem.
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	blocks, damaged := decodeAll(data)
	switch {
	case damaged:
		return nil, fmt.Errorf("%s %q is damaged: it has a PEM block that is cut off or malformed: copy it again", what, file)
	case isPKCS12(data):
		blocks, err = openPKCS12(data, passwordFile)
	case bytes.HasPrefix(data, []byte{derSequence}):
		blocks, err = openDER(data)
	case len(blocks) == 0:
		return nil, fmt.Errorf("%s %q %s: a text file (PEM) with the line \"-----BEGIN %s-----\" is needed", what, file, looksLike(data), want)
	}
	if err == nil {
		blocks, err = unwrap(blocks)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %q %w", what, file, err)
	}
	return blocks, nil
}

func readInput(what, file string, limit int64) ([]byte, error) {
	data, err := readLimited(file, limit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("reading %s %q: %w: check the path", what, file, quote.FileError(err))
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("reading %s %q: %w: let the user that runs tlstunnel read it", what, file, quote.FileError(err))
	case err != nil:
		return nil, fmt.Errorf("reading %s %q: %w", what, file, quote.FileError(err))
	}
	return data, nil
}

// ReadSecret reads a file that holds only a secret. The user may have written the secret in
// place of the file's name, so the error doesn't show a name that isn't the name of a file.
func ReadSecret(what, file string, limit int64) ([]byte, error) {
	if _, err := os.Lstat(file); err == nil || errors.Is(err, fs.ErrPermission) {
		data, err := readInput(what, file, limit)
		if isUTF16(data) {
			return nil, fmt.Errorf("%s %q is saved as UTF-16, as > does in Windows PowerShell: save it as UTF-8 (in Notepad: Save as, Encoding)", what, file)
		}
		return data, err
	}
	folder := filepath.Dir(file)
	for folder != filepath.Dir(folder) {
		if info, err := os.Stat(folder); err == nil && info.IsDir() {
			break
		}
		folder = filepath.Dir(folder)
	}
	return nil, fmt.Errorf("reading %s: %w: nothing below %q has that name; it must be the name of a file, and the secret is in that file", what, fs.ErrNotExist, folder)
}

// openDER finds out what a file in DER is. The error continues a sentence after its name.
func openDER(der []byte) ([]*pem.Block, error) {
	blockType := ""
	switch {
	case parses(x509.ParseCertificate(der)):
		blockType = "CERTIFICATE"
	case isPKCS7(der):
		blockType = "PKCS7"
	case parses(x509.ParsePKCS8PrivateKey(der)):
		blockType = "PRIVATE KEY"
	case parses(x509.ParsePKCS1PrivateKey(der)):
		blockType = "RSA PRIVATE KEY"
	case parses(x509.ParseECPrivateKey(der)):
		blockType = "EC PRIVATE KEY"
	case isEncryptedPKCS8(der):
		blockType = "ENCRYPTED PRIVATE KEY"
	case parses(x509.ParseCertificateRequest(der)):
		blockType = "CERTIFICATE REQUEST"
	case parses(x509.ParseRevocationList(der)):
		blockType = "X509 CRL"
	case chain.IsCertificate(der):
		blockType = "CERTIFICATE"
	default:
		return nil, errors.New("is binary (DER), but cut off, damaged or of an unknown kind: copy it again, in binary mode")
	}
	return []*pem.Block{{Type: blockType, Bytes: der}}, nil
}

func parses[T any](_ T, err error) bool { return err == nil }

// unwrap replaces a PKCS#7 block by its certificates.
func unwrap(blocks []*pem.Block) (all []*pem.Block, err error) {
	for _, block := range blocks {
		if block.Type != "PKCS7" && block.Type != "PKCS #7 SIGNED DATA" {
			all = append(all, block)
			continue
		}
		ders, err := certificatesInPKCS7(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, certificateBlocks(ders...)...)
	}
	return all, nil
}

func certificateBlocks(ders ...[]byte) (blocks []*pem.Block) {
	for _, der := range ders {
		blocks = append(blocks, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return blocks
}

// openPKCS12 decrypts a PKCS#12 file. A file without a password has an empty one. The error
// continues a sentence after the file's name.
func openPKCS12(data []byte, passwordFile string) (blocks []*pem.Block, err error) {
	password := ""
	if passwordFile != "" {
		if password, err = readPassword(passwordFile); err != nil {
			return nil, fmt.Errorf("is PKCS#12: %w", err)
		}
	}
	key, leaf, chain, err := pkcs12.DecodeChain(data, password)
	if err != nil && !errors.Is(err, pkcs12.ErrIncorrectPassword) {
		if certs, storeErr := pkcs12.DecodeTrustStore(data, password); storeErr == nil {
			for _, cert := range certs {
				blocks = append(blocks, certificateBlocks(cert.Raw)...)
			}
			return blocks, nil
		}
	}
	if err != nil {
		return nil, explainPKCS12(err, passwordFile, password)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, errors.New("is PKCS#12 with a key of an unknown kind: an RSA, ECDSA or Ed25519 key is needed")
	}
	blocks = append(certificateBlocks(leaf.Raw), &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for _, cert := range chain {
		blocks = append(blocks, certificateBlocks(cert.Raw)...)
	}
	return blocks, nil
}

// explainPKCS12 continues a sentence after the file's name. Most errors of the library differ
// in their text only. A test with files of openssl and keytool guards the texts.
func explainPKCS12(err error, passwordFile, password string) error {
	const exportAnew = "export it anew with AES-256 and SHA-256, as `openssl pkcs12 -export -keypbe AES-256-CBC -certpbe AES-256-CBC -macalg sha256` does"
	says := func(part string) bool { return strings.Contains(err.Error(), part) }
	wrong := errors.Is(err, pkcs12.ErrIncorrectPassword) || says(pkcs12.ErrDecryption.Error())
	switch {
	case wrong && passwordFile == "":
		return errEncrypted
	case wrong:
		return wrongPassword(passwordFile, password)
	case says("MAC") && (says("not supported") || says("are supported")):
		return errors.New("is PKCS#12, and its protection against changes (MAC) is of a kind that isn't supported: " + exportAnew)
	case says("not supported"):
		return errors.New("is PKCS#12, and encrypted in a way that isn't supported: " + exportAnew)
	case says("no MAC in data"):
		return errors.New("is PKCS#12, and has no protection against changes (MAC): export it with a password")
	case says("private key missing"):
		return errors.New("is PKCS#12, and has no private key: export it with the key; certificates alone are taken as PEM, DER or PKCS#7")
	case says("certificate missing"):
		return errors.New("is PKCS#12, and has no certificate: export it with the certificate")
	case says("expected exactly one key bag"):
		return errors.New("is PKCS#12, and holds two keys or more: export only the one for this tunnel")
	case errors.As(err, new(pkcs12.NotImplementedError)):
		return errors.New("is PKCS#12 of a kind that isn't supported: " + exportAnew)
	}
	return errors.New("is PKCS#12, but cut off or damaged: copy it again, in binary mode, or export it anew")
}

func wrongPassword(passwordFile, password string) error {
	if !utf8.ValidString(password) {
		return fmt.Errorf("can't be decrypted with the password in %q: that file isn't UTF-8, which a password with other letters than those of ASCII must be: save it as UTF-8", passwordFile)
	}
	return fmt.Errorf("can't be decrypted with the password in %q: it is the wrong one, or the file is damaged", passwordFile)
}

// decryptKey decrypts a PKCS#8 key. The error continues a sentence after the file's name.
func decryptKey(der []byte, passwordFile string) (signer crypto.Signer, err error) {
	if passwordFile == "" {
		return nil, errEncrypted
	}
	password, err := readPassword(passwordFile)
	if err != nil {
		return nil, fmt.Errorf("is encrypted: %w", err)
	}
	// The library panics on some damaged parameters.
	defer func() {
		if recover() != nil {
			signer, err = nil, wrongPassword(passwordFile, password)
		}
	}()
	key, _, err := pkcs8.ParsePrivateKey(der, []byte(password))
	switch {
	case err != nil && strings.Contains(err.Error(), "only PBES2"), err != nil && strings.Contains(err.Error(), "unsupported"):
		return nil, errors.New("is encrypted in a way that isn't supported: PKCS#8 with PBES2 is needed, which `openssl pkcs8 -topk8 -v2 aes-256-cbc` makes")
	case err != nil:
		return nil, wrongPassword(passwordFile, password)
	}
	return signerOf(key)
}

// isEncryptedPKCS8 looks at the form only.
func isEncryptedPKCS8(der []byte) bool {
	var info encryptedKey
	return unmarshalWhole(der, &info)
}
