package pki

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/date"
	"tlstunnel/internal/dn"
	"tlstunnel/internal/filerights"
	"tlstunnel/internal/quote"
	"tlstunnel/pki/certfile"
)

// Authority is our own CA with its key, for one process at a time.
type Authority struct {
	dir    string
	ca     issuer
	now    time.Time
	unlock func()

	crlRenewed bool  // OpenAuthority signed a new CRL
	crlErr     error // why the CRL isn't up to date: then nothing is issued
}

// OpenAuthority opens the CA in dir and holds its lock until Close. If a command was killed or
// found the disk full before it could sign the CRL, OpenAuthority signs it first.
func OpenAuthority(ctx context.Context, dir string, now time.Time) (a *Authority, err error) {
	err = filerights.AsOwner(dir, func() error {
		a, err = lockAuthority(ctx, dir, now)
		return err
	})
	return a, err
}

func lockAuthority(ctx context.Context, dir string, now time.Time) (*Authority, error) {
	l := layoutOf(dir)
	if have, err := l.present(); err == nil && have.none() {
		return nil, l.notThere()
	}
	if _, err := l.openCA(now); err != nil { // before the lock, so that a wrong folder gets no lock file
		return nil, adviseRights(err)
	}
	unlock, err := Lock(ctx, dir)
	if err != nil {
		return nil, adviseRights(err)
	}
	a := &Authority{dir: dir, now: now, unlock: unlock}
	a.ca, err = l.openCA(now) // again: a rotation may have ended meanwhile
	if err != nil {
		a.Close()
		return nil, adviseRights(err)
	}
	a.crlRenewed, err = a.refreshCRL()
	a.crlErr = adviseRights(err)
	return a, nil
}

// Close releases the lock.
func (a *Authority) Close() { a.unlock() }

// Request says what certificate is asked for.
type Request struct {
	// Name finds the certificate in the index and is its common name. With Server
	// it is one of its DNS names or IP addresses too, if it has the form of one.
	Name    string
	Subject dn.Subject // an empty common name stands for Name

	Server, Client bool // at least one

	DNSNames       []string
	IPAddresses    []net.IP
	EmailAddresses []string
	URIs           []*url.URL

	// Validity is counted from now. The certificate never outlives its CA: if it would, it ends
	// with the CA, or with Exact it is an error.
	Validity time.Duration
	Exact    bool

	PKCS12 *PKCS12 // how to make NAME.p12; nil for none
}

func (r Request) validate() error {
	switch {
	case !r.Server && !r.Client:
		return errors.New("say what the certificate is for: a server, a client or both")
	case r.Validity <= 0:
		return fmt.Errorf("the validity of a certificate must be positive, not %v", r.Validity)
	}
	if err := r.validateNames(); err != nil {
		return err
	}
	if r.Server && len(r.DNSNames)+len(r.IPAddresses) == 0 {
		return fmt.Errorf("name %q is neither a DNS name nor an IP address, and without one no client accepts a server: add one, with --dns or --ip", r.Name)
	}
	return nil
}

// maxFileName is less than the 255 bytes that file systems allow: the names of temporary files
// are longer.
const maxFileName = 200

// errFileName continues a sentence after the name.
var errFileName = errors.New("can't be that of a file: use letters, digits, dots and dashes, the first no dot or dash")

// isFileName refuses a name that isn't a valid file name on every system, or that has a meaning
// for a shell. The name may come from another organization.
func isFileName(name string) bool {
	return name != "" && !strings.ContainsAny(name, `/\:*?"<>|`) && !strings.ContainsAny(name[:1], ".-") &&
		utf8.ValidString(name) && !strings.ContainsFunc(name, isControl) && filepath.IsLocal(name+".key")
}

func (r Request) validateNames() error {
	if !isFileName(r.Name) {
		return fmt.Errorf("name %q %w", r.Name, errFileName)
	}
	if len(r.Name) > maxFileName {
		return fmt.Errorf("name %q is too long for a file, %d bytes, at most %d are allowed: give a shorter one, and the whole by --dns", r.Name, len(r.Name), maxFileName)
	}
	for _, name := range r.DNSNames {
		if !isDNSName(strings.TrimPrefix(name, "*.")) {
			return fmt.Errorf("%q isn't a DNS name in ASCII (an international name is written as \"xn--…\")", name)
		}
	}
	for _, email := range r.EmailAddresses {
		if user, host, ok := strings.Cut(email, "@"); !ok || user == "" || host == "" || !isASCII(email) || strings.ContainsFunc(email, isControl) {
			return fmt.Errorf("%q isn't an email address in ASCII", email)
		}
	}
	for _, uri := range r.URIs {
		if uri.Scheme == "" || !isASCII(uri.String()) {
			return fmt.Errorf("%q isn't a URI such as \"urn:modality:7\"", uri)
		}
	}
	return r.subject().Validate()
}

// subject returns the subject with a common name. Peers show it but don't verify it. For a DNS
// name that is too long it is the first label.
func (r Request) subject() dn.Subject {
	name := r.Name
	if len(name) > dn.MaxCommonName && slices.Contains(r.DNSNames, name) {
		name, _, _ = strings.Cut(name, ".")
	}
	subject := r.Subject
	subject.CommonName = cmp.Or(subject.CommonName, name)
	return subject
}

// addName adds name to the DNS names or IP addresses, which peers verify, if it is one.
func (r *Request) addName(name string) {
	if ip := net.ParseIP(name); ip != nil {
		r.IPAddresses = append([]net.IP{ip}, r.IPAddresses...)
	} else if isDNSName(name) {
		r.DNSNames = append([]string{name}, r.DNSNames...)
	}
}

// Issue makes a key of the type keyType and a certificate, and writes them into the folder out:
// NAME.key, NAME.crt (the certificate and the CA) and, if r says how, NAME.p12 with all of
// them. It returns their paths. It overwrites nothing, and makes all files or none. Only a
// kill between the renames leaves some of them.
func (a *Authority) Issue(r Request, keyType, out string) (*x509.Certificate, []string, error) {
	if r.Server {
		r.addName(r.Name)
	}
	if err := errors.Join(r.validate(), a.crlErr); err != nil {
		return nil, nil, err
	}
	if err := checkKeyType(keyType); err != nil {
		return nil, nil, err
	}
	base := filepath.Join(out, r.Name)
	keyFile, certFile, p12File := base+".key", base+".crt", base+".p12"
	targets := []string{keyFile, certFile}
	if r.PKCS12 != nil {
		targets = append(targets, p12File)
	}
	if err := makeRoom(out, a.dir, targets...); err != nil {
		return nil, nil, err
	}
	key, err := GenerateKey(keyType)
	if err != nil {
		return nil, nil, err
	}
	cert, err := a.certify(r, key.Public())
	if err != nil {
		return nil, nil, err
	}
	files, err := pairFiles(keyFile, key, certFile, cert, a.ca.cert)
	if err != nil {
		return nil, nil, err
	}
	if r.PKCS12 != nil {
		p12, err := r.PKCS12.encode(r.Name, key, cert, a.ca.cert)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, newFile{p12File, p12, atomicfile.Secret})
	}
	paths, err := publish(files, func() error { return adviseRights(recordIssued(a.dir, r.Name, cert)) })
	return cert, paths, err
}

// makeRoom returns why the files can't be made in the folder out, and removes temporary files
// of killed commands. It refuses the PKI folder: next-ca and previous-ca, for example, are
// names of CAs there.
func makeRoom(out, pkiDir string, files ...string) error {
	if sameFile(out, pkiDir) {
		return fmt.Errorf("folder %q is that of the PKI, for its own files only: choose another with --out", out)
	}
	if err := mustBeFree(files...); err != nil {
		return err
	}
	return removeLeftoversOf(files...)
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// mustBeFree returns an error if one of the files exists. Publishing checks it too, but only
// after the certificate is in the index.
func mustBeFree(files ...string) error {
	for _, file := range files {
		if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
			if err == nil {
				err = fs.ErrExist
			}
			return fmt.Errorf("creating %q: %w: move it away, or choose another name or folder", file, quote.FileError(err))
		}
	}
	return nil
}

// certify signs a certificate with the names and uses of r only.
func (a *Authority) certify(r Request, key crypto.PublicKey) (*x509.Certificate, error) {
	asked, end := a.now.Add(r.Validity), a.ca.cert.NotAfter
	if r.Exact && asked.After(end) {
		return nil, fmt.Errorf("the CA ends on %s, and no certificate outlives it: at most %d days from now",
			date.Time(end), int(end.Sub(a.now).Hours()/24))
	}
	if r.Server {
		asked = endOf(a.now, r.Validity)
	}
	template, err := newTemplate(r.subject(), key, a.now, earlier(asked, end))
	if err != nil {
		return nil, err
	}
	template.KeyUsage = leafUsage(key)
	if r.Server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if r.Client {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	template.DNSNames, template.IPAddresses = r.DNSNames, r.IPAddresses
	template.EmailAddresses, template.URIs = r.EmailAddresses, r.URIs
	return sign(template, key, a.ca)
}

// Find returns the certificate with the serial number or the name. A name finds only a
// certificate that is valid; if there is none, the last revoked one. It is an error if several
// valid certificates have the name.
func (a *Authority) Find(nameOrSerial string) (Issued, error) {
	index, err := loadIndex(a.dir)
	if err != nil {
		return Issued{}, err
	}
	var named, revoked []Issued
	ended := "" // how the last certificate of that name ended
	for _, i := range index {
		if i.Serial == plainSerial(nameOrSerial) {
			return i, nil
		}
		if i.Name != nameOrSerial {
			continue
		}
		switch i.State(a.now) {
		case "valid":
			named = append(named, i)
		case "revoked":
			revoked = append(revoked, i)
		default:
			ended = fmt.Sprintf(" (%s of that name has expired already)", i.Serial)
		}
	}
	switch {
	case len(named) == 0 && len(revoked) > 0:
		return revoked[len(revoked)-1], nil
	case len(named) == 0:
		return Issued{}, fmt.Errorf("no valid certificate has the name or serial number %q%s: `tlstunnel cert list` shows them all", nameOrSerial, ended)
	case len(named) == 1:
		return named[0], nil
	}
	var serials []string
	for _, i := range named {
		serials = append(serials, fmt.Sprintf("%s (until %s)", i.Serial, date.Time(i.NotAfter)))
	}
	return Issued{}, fmt.Errorf("%q: several certificates have this name: give the serial number instead: %s", nameOrSerial, strings.Join(serials, ", "))
}

// ErrNotOnCRL means that a certificate is revoked, but the CRL doesn't say so yet.
var ErrNotOnCRL = errors.New("the certificate is revoked, but not on the CRL yet")

// Revoke puts a certificate of the index on the CRL, for a reason by its name in RFC 5280, such
// as "keyCompromise". If the certificate is revoked already, Revoke makes sure that it is on
// the CRL, and keeps the old reason.
//
// It writes the index first: our own tunnels read it (see [RevokedInIndex]), and a full disk
// may have room for a line but not for a new CRL. An error means that nothing was changed,
// unless it wraps [ErrNotOnCRL]. Then another call completes the revocation.
func (a *Authority) Revoke(i Issued, reason string) error {
	if _, err := certfile.ReasonCode(reason); err != nil {
		return err
	}
	return filerights.AsOwner(a.dir, func() error { return a.revoke(i, reason) })
}

func (a *Authority) revoke(i Issued, reason string) error {
	signers, err := a.crlSigners()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(signers, func(s crlSigner) bool { return s.issued(i) }) {
		return fmt.Errorf("certificate %s of %q is from a CA that isn't there any more: no CRL of ours can name it", i.Serial, i.Name)
	}
	if i.Revoked.IsZero() {
		event := indexEvent{eventRevoked, Issued{Serial: i.Serial, Revoked: a.now.UTC(), Reason: reason}}
		if err := appendIndex(a.dir, event); err != nil {
			return adviseRights(fmt.Errorf("certificate %s of %q isn't revoked, nothing was changed: %w", i.Serial, i.Name, err))
		}
	}
	if _, err := a.refreshCRL(); err != nil {
		a.crlErr = adviseRights(fmt.Errorf("%w: %w", ErrNotOnCRL, err))
	} else {
		a.crlErr = nil
	}
	return a.crlErr
}

// ExportCA writes the CA certificate into the folder out, as ca.crt (PEM) and ca.der, and
// trustStore, unless it is nil, as ca.p12. It returns the paths of the files that it made. A
// file with the same content may exist already. Another file of that name is an error.
func ExportCA(ca *x509.Certificate, trustStore []byte, out string) ([]string, error) {
	var missing []newFile
	if trustStore != nil { // a PKCS#12 file has a random salt, so its content always differs
		file := filepath.Join(out, "ca.p12")
		if err := mustBeFree(file); err != nil {
			return nil, err
		}
		missing = append(missing, newFile{file, trustStore, atomicfile.Public})
	}
	for _, f := range []newFile{
		{CACert(out), certfile.EncodeCertificates(ca), atomicfile.Public},
		{filepath.Join(out, "ca.der"), ca.Raw, atomicfile.Public},
	} {
		if data, err := os.ReadFile(f.path); err != nil || !bytes.Equal(data, f.data) {
			missing = append(missing, f)
		}
	}
	return publish(missing, nil)
}
