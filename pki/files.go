package pki

import "path/filepath"

// The files in the folder of a PKI are named here and nowhere else.

// CACert is the path of the CA's certificate in the PKI folder dir, which clients get.
func CACert(dir string) string { return filepath.Join(dir, "ca.crt") }

// NextCACert is the path of the next CA's certificate, while a rotation is under way.
func NextCACert(dir string) string { return filepath.Join(dir, "next-ca.crt") }

// ServerCert is the path of the server certificate with the CA's.
func ServerCert(dir string) string { return filepath.Join(dir, "server.crt") }

// OwnCRL is the path of the CA's revocation list. The file doesn't exist before the first
// revocation.
func OwnCRL(dir string) string { return filepath.Join(dir, "ca.crl") }

// PreviousCRL is the path of the previous CA's revocation list, if it had one.
func PreviousCRL(dir string) string { return filepath.Join(dir, "previous-ca.crl") }

// IndexFile is the path of the index of all certificates that the CA in dir has
// issued: a line of JSON for each event, in the order in which they happened.
func IndexFile(dir string) string { return filepath.Join(dir, "issued.jsonl") }

// LockFile is the path of the lock file of dir. It is never removed: if a process removed it
// while another waits for it, a third could lock a new file at the same time.
func LockFile(dir string) string { return filepath.Join(dir, ".lock") }

// ACMEDir is the folder for certificates that were ordered by ACME, and for the keys of our
// accounts at those CAs.
func ACMEDir(dir string) string { return filepath.Join(dir, "acme") }

// Files are the paths of the files that [Open] reads in dir.
func Files(dir string) []string { return layoutOf(dir).withRotation() }

// layout has the paths of the keys and certificates of a PKI.
type layout struct {
	dir                   string
	caKey, caCert         string
	serverKey, serverCert string

	// The files of a rotation of the CA. They may be missing.
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
