package installer

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/windows"

	"tlstunnel/internal/dn"
)

// friendlyName marks the CAs that we put into the store. certlm.msc shows it.
const friendlyName = "tlstunnel CA"

const rootStore = "the machine's Trusted Root Certification Authorities"

// Functions of crypt32 that golang.org/x/sys doesn't have.
var (
	crypt32     = windows.NewLazySystemDLL("crypt32.dll")
	setProperty = crypt32.NewProc("CertSetCertificateContextProperty")
	getProperty = crypt32.NewProc("CertGetCertificateContextProperty")
	control     = crypt32.NewProc("CertControlStore")
)

const (
	friendlyNameProperty = 11 // CERT_FRIENDLY_NAME_PROP_ID
	commit               = 3  // CERT_STORE_CTRL_COMMIT
)

func trustSteps(cas []*x509.Certificate) ([]Step, error) {
	var steps []Step
	for _, ca := range cas {
		steps = append(steps, rootStep(ca))
	}
	err := eachRoot(func(s stored) {
		if s.ours() && !slices.ContainsFunc(cas, s.cert.Equal) {
			steps = append(steps, removeRootStep(s.cert))
		}
	})
	return append(steps, Step{
		Name: "CA found in " + rootStore,
		Check: func() error {
			for _, ca := range cas {
				if found, err := isRoot(ca); !found || err != nil {
					return errors.Join(err, fmt.Errorf("the CA %q isn't in %s: perhaps a group policy keeps it out", dn.Text(ca.Subject), rootStore))
				}
			}
			return nil
		},
	}), err
}

func untrustSteps(cas []*x509.Certificate) ([]Step, error) {
	var steps []Step
	gone := slices.Clone(cas)
	err := eachRoot(func(s stored) {
		if s.ours() {
			steps = append(steps, removeRootStep(s.cert))
			gone = append(gone, s.cert)
		}
	})
	return append(steps, Step{
		Name: "no own CA in " + rootStore,
		Check: func() error {
			for _, ca := range gone {
				found, err := isRoot(ca)
				if err != nil {
					return err
				}
				if found {
					return fmt.Errorf("the CA %q is still in %s: somebody else put it there too; remove it in the way in which it was added", dn.Text(ca.Subject), rootStore)
				}
			}
			return nil
		},
	}), err
}

// rootStep adds a CA to the store.
func rootStep(ca *x509.Certificate) Step {
	return Step{
		Name: fmt.Sprintf("CA %q in %s", dn.Text(ca.Subject), rootStore),
		Done: func() (bool, error) { return isRoot(ca) },
		Do: func() error {
			return withRoots(0, func(store windows.Handle) error {
				context, err := windows.CertCreateCertificateContext(windows.X509_ASN_ENCODING, &ca.Raw[0], uint32(len(ca.Raw)))
				if err != nil {
					return err
				}
				defer windows.CertFreeCertificateContext(context)
				if err := mark(context); err != nil {
					return err
				}
				if err := windows.CertAddCertificateContextToStore(store, context, windows.CERT_STORE_ADD_REPLACE_EXISTING, nil); err != nil {
					return err
				}
				return save(store)
			})
		},
		Undo: func() error { return removeRoot(ca) },
	}
}

func removeRootStep(ca *x509.Certificate) Step {
	return Step{
		Name: fmt.Sprintf("remove CA %q from %s", dn.Text(ca.Subject), rootStore),
		Do:   func() error { return removeRoot(ca) },
	}
}

func removeRoot(ca *x509.Certificate) error {
	return withRoots(0, func(store windows.Handle) error {
		var found *windows.CertContext // walk uses the context it is at, so delete only after it
		walk(store, func(s stored) bool {
			if s.cert.Equal(ca) {
				found = windows.CertDuplicateCertificateContext(s.context)
			}
			return found == nil
		})
		if found == nil {
			return nil
		}
		if err := windows.CertDeleteCertificateFromStore(found); err != nil {
			return err
		}
		return save(store)
	})
}

func isRoot(ca *x509.Certificate) (found bool, err error) {
	err = eachRoot(func(s stored) { found = found || s.cert.Equal(ca) })
	return found, err
}

// stored is a certificate in the store. The context is valid only until the callback returns.
type stored struct {
	context *windows.CertContext
	cert    *x509.Certificate
}

// eachRoot calls do with each certificate in the machine's store. It skips certificates that can't
// be parsed.
func eachRoot(do func(stored)) error {
	return withRoots(windows.CERT_STORE_READONLY_FLAG, func(store windows.Handle) error {
		walk(store, func(s stored) bool { do(s); return true })
		return nil
	})
}

// walk calls do with each certificate until do returns false. It skips certificates that can't be
// parsed.
func walk(store windows.Handle, do func(stored) bool) {
	var context *windows.CertContext
	for {
		// The call frees the context before. It returns an error at the end of the store, too.
		context, _ = windows.CertEnumCertificatesInStore(store, context)
		if context == nil {
			return
		}
		cert, err := x509.ParseCertificate(slices.Clone(unsafe.Slice(context.EncodedCert, context.Length)))
		if err == nil && !do(stored{context, cert}) {
			_ = windows.CertFreeCertificateContext(context)
			return
		}
	}
}

// withRoots opens the machine's store of trusted CAs for do.
func withRoots(flags uint32, do func(store windows.Handle) error) error {
	name, err := windows.UTF16PtrFromString("ROOT")
	if err != nil {
		return err
	}
	store, err := windows.CertOpenStore(windows.CERT_STORE_PROV_SYSTEM, 0, 0,
		windows.CERT_SYSTEM_STORE_LOCAL_MACHINE|flags, uintptr(unsafe.Pointer(name)))
	if err != nil {
		return fmt.Errorf("opening %s: %w", rootStore, err)
	}
	defer windows.CertCloseStore(store, 0)
	return do(store)
}

// save writes the changes of a store. wine would otherwise write them only when the last handle
// is closed.
func save(store windows.Handle) error {
	if ok, _, err := control.Call(uintptr(store), 0, commit, 0); ok == 0 {
		return fmt.Errorf("saving %s: %w", rootStore, err)
	}
	return nil
}

// mark gives a certificate our friendly name.
func mark(context *windows.CertContext) error {
	name, err := windows.UTF16FromString(friendlyName)
	if err != nil {
		return err
	}
	blob := windows.DataBlob{Size: uint32(2 * len(name)), Data: (*byte)(unsafe.Pointer(&name[0]))}
	if ok, _, err := setProperty.Call(uintptr(unsafe.Pointer(context)), friendlyNameProperty, 0, uintptr(unsafe.Pointer(&blob))); ok == 0 {
		return fmt.Errorf("naming the certificate %q: %w", friendlyName, err)
	}
	return nil
}

// ours reports whether we have marked the certificate.
func (s stored) ours() bool {
	name := make([]uint16, len(friendlyName)+1)
	size := uint32(2 * len(name)) // if the name is longer, the call fails, and the name isn't ours
	ok, _, _ := getProperty.Call(uintptr(unsafe.Pointer(s.context)), friendlyNameProperty,
		uintptr(unsafe.Pointer(&name[0])), uintptr(unsafe.Pointer(&size)))
	return ok != 0 && windows.UTF16ToString(name) == friendlyName
}
