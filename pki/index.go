package pki

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"slices"
	"strings"
	"time"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/date"
	"tlstunnel/internal/dn"
	"tlstunnel/internal/filerights"
	"tlstunnel/internal/quote"
	"tlstunnel/pki/certfile"
)

// Issued is the entry of the index for a certificate that our own CA has signed.
type Issued struct {
	Serial    string    `json:"serial"` // hexadecimal
	Name      string    `json:"name"`
	Server    bool      `json:"server,omitempty"` // of this machine's server; older versions didn't note it
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"` // the key ID of the CA, hexadecimal
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Revoked   time.Time `json:"revoked,omitzero"`
	Reason    string    `json:"reason,omitempty"` // by RFC 5280
}

// State returns "valid", "expired" or "revoked" at the time now.
func (i Issued) State(now time.Time) string {
	switch {
	case !i.Revoked.IsZero():
		return "revoked"
	case now.After(i.NotAfter):
		return "expired"
	}
	return "valid"
}

// indexEvent is a line of the index. A revocation has only the serial number, the time and the
// reason.
type indexEvent struct {
	Event string `json:"event"`
	Issued
}

const (
	eventIssued  = "issued"
	eventRevoked = "revoked"
)

// maxIndex is the largest index that is read: some million certificates.
const maxIndex = 256 << 20

// serverName is the name in the index of this machine's server certificates.
const serverName = "server"

// formerServers returns the earlier certificates with the name of this machine's server that
// are valid and from a CA that is still trusted. Without the mark Server, a certificate may
// belong to another machine of that name.
func (s *Store) formerServers(now time.Time) (former []Issued, err error) {
	index, err := ReadIndex(s.Dir)
	for _, i := range index {
		if i.Name == serverName && i.State(now) == "valid" && s.trusts(i) && i.Serial != SerialText(s.Server.Leaf) {
			former = append(former, i)
		}
	}
	return former, err
}

func (s *Store) trusts(i Issued) bool {
	return slices.ContainsFunc(s.Trusted, func(ca *x509.Certificate) bool { return i.Issuer == hex.EncodeToString(ca.SubjectKeyId) })
}

// RevokeFormerServers revokes, as superseded, the earlier certificates of this machine's
// server, and returns those that are revoked in the index now. It is called after a new key, so
// that the old key is worth nothing. doubtful are certificates that may be the server's too;
// they aren't revoked. An error means that some aren't revoked, or wraps [ErrNotOnCRL].
func RevokeFormerServers(ctx context.Context, dir string, now time.Time) (revoked, doubtful []Issued, err error) {
	store, err := Open(dir, now)
	if err != nil {
		return nil, nil, err
	}
	former, err := store.formerServers(now)
	if err != nil || len(former) == 0 {
		return nil, nil, err
	}
	a, err := OpenAuthority(ctx, dir, now)
	if err != nil {
		return nil, nil, err
	}
	defer a.Close()
	var failed error
	for _, i := range former {
		if !i.Server {
			doubtful = append(doubtful, i)
			continue
		}
		failed = a.Revoke(i, "superseded")
		if failed != nil && !errors.Is(failed, ErrNotOnCRL) {
			return revoked, doubtful, failed
		}
		revoked = append(revoked, i)
	}
	return revoked, doubtful, failed // the last revocation has tried to put all on the CRL
}

// RevokedInIndex returns the revoked certificates of the issuer in the index of the CA in dir,
// in the form of [certfile.CRL.Revoked]. A revocation is in the index before it is on the CRL,
// and stays there if the CRL can't be written, for example because the disk is full.
func RevokedInIndex(dir string, issuer *x509.Certificate) (map[string]string, error) {
	index, err := loadIndex(dir)
	if err != nil {
		return nil, err
	}
	revoked := map[string]string{}
	for _, i := range index {
		if serial, ok := new(big.Int).SetString(i.Serial, 16); ok && !i.Revoked.IsZero() && i.Issuer == hex.EncodeToString(issuer.SubjectKeyId) {
			revoked[serial.String()] = fmt.Sprintf("on %s: %s", date.Time(i.Revoked), i.Reason)
		}
	}
	return revoked, nil
}

// ReadIndex returns what the CA in dir has issued, in that order. It ignores an incomplete last
// line of a killed process. Without an index the result is empty.
func ReadIndex(dir string) ([]Issued, error) {
	all, err := loadIndex(dir)
	return all, adviseRights(err)
}

func loadIndex(dir string) ([]Issued, error) {
	file := IndexFile(dir)
	var data []byte
	err := filerights.AsOwner(dir, func() (err error) {
		data, err = certfile.ReadRegular(file, maxIndex)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the index %q: %w", file, quote.FileError(err))
	}
	var all []Issued
	bySerial := make(map[string]int)
	line := 0
	for text := range bytes.Lines(data) {
		line++
		if !bytes.HasSuffix(text, []byte("\n")) {
			break
		}
		var e indexEvent
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, fmt.Errorf("index %q is damaged in line %d: restore it from a backup", file, line)
		}
		at, known := bySerial[e.Serial]
		switch {
		case e.Event == eventIssued && !known && isSerial(e.Serial):
			bySerial[e.Serial] = len(all)
			all = append(all, e.Issued)
		case e.Event == eventRevoked && known:
			all[at].Revoked, all[at].Reason = e.Revoked, e.Reason
		default:
			return nil, fmt.Errorf("index %q is damaged in line %d: the event %q of serial number %q can't be there; restore it from a backup", file, line, e.Event, e.Serial)
		}
	}
	return all, nil
}

// recordIssued puts cert into the index in dir. The caller holds the lock, and publishes the
// certificate only afterwards.
func recordIssued(dir, name string, cert *x509.Certificate) error {
	return appendIndex(dir, indexEvent{eventIssued, issuedOf(name, cert)})
}

// recordServer is recordIssued for this machine's server.
func recordServer(dir string, cert *x509.Certificate) error {
	i := issuedOf(serverName, cert)
	i.Server = true
	return appendIndex(dir, indexEvent{eventIssued, i})
}

func issuedOf(name string, cert *x509.Certificate) Issued {
	return Issued{
		Serial:    SerialText(cert),
		Name:      name,
		Subject:   dn.Text(cert.Subject),
		Issuer:    hex.EncodeToString(cert.AuthorityKeyId),
		NotBefore: cert.NotBefore.UTC(),
		NotAfter:  cert.NotAfter.UTC(),
	}
}

// appendIndex appends an event and returns once it is on the disk. On an error the index stays
// as it was. The caller holds the lock.
func appendIndex(dir string, e indexEvent) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return filerights.AsOwner(dir, func() error { return appendTo(IndexFile(dir), line) })
}

func appendTo(file string, line []byte) error {
	if err := removeLeftoversOf(file); err != nil {
		return err
	}
	if err := atomicfile.Create(file, nil, atomicfile.Secret); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("opening the index %q: %w", file, quote.FileError(err))
	}
	err = appendLine(f, append(line, '\n'))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing the index %q: %w", file, quote.FileError(err))
	}
	return nil
}

func appendLine(f *os.File, line []byte) error {
	end, err := endOfLines(f)
	if err != nil {
		return err
	}
	if err := f.Truncate(end); err != nil {
		return err
	}
	_, err = f.WriteAt(line, end)
	atomicfile.TestOnlyStep("index written")
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Truncate(end)
		return err
	}
	atomicfile.TestOnlyStep("index synced")
	return nil
}

// endOfLines returns where the last complete line of f ends.
func endOfLines(f *os.File) (int64, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	block := make([]byte, 4096)
	for end > 0 {
		start := max(0, end-int64(len(block)))
		n, err := f.ReadAt(block[:end-start], start)
		if err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(block[:n], '\n'); i >= 0 {
			return start + int64(i) + 1, nil
		}
		end = start
	}
	return 0, nil
}

// SerialText returns the serial number of cert in the form of the index.
func SerialText(cert *x509.Certificate) string { return hex.EncodeToString(cert.SerialNumber.Bytes()) }

func isSerial(text string) bool {
	number, err := hex.DecodeString(text)
	return err == nil && len(number) > 0
}

// plainSerial removes the colons that other programs write into a serial number.
func plainSerial(s string) string { return strings.ToLower(strings.ReplaceAll(s, ":", "")) }
