package pki

import "path/filepath"

// The files in the folder of a PKI are named here and nowhere else.

// CACert is the path of the CA's certificate in the PKI folder dir, which clients get.
func CACert(dir string) string { return filepath.Join(dir, "ca.crt") }

// NextCACert is the path of the next CA's certificate, while a rotation is under way.
func NextCACert(dir string) string { return filepath.Join(dir, "next-ca.crt") }

// ServerCert is the path of the server certificate with the CA's.
func ServerCert(dir string) string { return filepath.Join(dir, "server.crt") }

// OwnCRL is the path of the CA's revocation list. Until a certificate is revoked, there is
// none.
func OwnCRL(dir string) string { return filepath.Join(dir, "ca.crl") }

// PreviousCRL is where the list of the CA before a rotation is kept, if it had one.
func PreviousCRL(dir string) string { return filepath.Join(dir, "previous-ca.crl") }

// IndexFile is the path of the index of all certificates that the CA in dir has
// issued: a line of JSON for each event, in the order in which they happened.
func IndexFile(dir string) string { return filepath.Join(dir, "issued.jsonl") }

// LockFile is the path of the file by which processes wait for each other in dir.
// It stays there for good: to remove it while another process waits for it would
// let two in.
func LockFile(dir string) string { return filepath.Join(dir, ".lock") }

// ACMEDir is the folder for the certificates of CAs that are asked by ACME, and for the
// keys of our accounts there.
func ACMEDir(dir string) string { return filepath.Join(dir, "acme") }

// Files are the paths of the files that [Open] reads in dir.
func Files(dir string) []string { return layoutOf(dir).withRotation() }

// layout is where the keys and certificates of a PKI are.
type layout struct {
	dir                   string
	caKey, caCert         string
	serverKey, serverCert string

	// Of a rotation of the CA. They may be missing.
	nextKey, nextCert, nextCross string
	previousKey, previousCert    string
}

func layoutOf(dir string) layout {
	return layout{
		dir:        dir,
		caKey:      filepath.Join(dir, "ca.key"),
		caCert:     CACert(dir),
		serverKey:  filepath.Join(dir, "server.key"),
		serverCert: ServerCert(dir),

		nextKey:      filepath.Join(dir, "next-ca.key"),
		nextCert:     NextCACert(dir),
		nextCross:    filepath.Join(dir, "next-cross.crt"),
		previousKey:  filepath.Join(dir, "previous-ca.key"),
		previousCert: filepath.Join(dir, "previous-ca.crt"),
	}
}

// all lists the files in the order in which they are published. A key comes
// before its certificate: whoever sees a certificate can count on its key
// being there too, and a CA certificate that clients already have copied can
// never turn out to be without a key.
func (l layout) all() []string {
	return []string{l.caKey, l.caCert, l.serverKey, l.serverCert}
}

// withRotation lists the files of a rotation, too.
func (l layout) withRotation() []string {
	return append(l.all(), l.nextKey, l.nextCert, l.nextCross, l.previousKey, l.previousCert, PreviousCRL(l.dir))
}
