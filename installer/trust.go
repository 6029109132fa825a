package installer

import "crypto/x509"

// TrustSteps make the machine trust the CAs, and no longer those of an earlier
// TrustSteps. The last step checks that it does. An error means that this machine
// has no store that we know.
func TrustSteps(cas []*x509.Certificate) ([]Step, error) { return trustSteps(cas) }

// UntrustSteps take out of the machine's store what TrustSteps put there, whatever
// has become of our own CA since. The last step checks that neither that nor one of
// the CAs is there any more; cas may be empty.
func UntrustSteps(cas []*x509.Certificate) ([]Step, error) { return untrustSteps(cas) }
