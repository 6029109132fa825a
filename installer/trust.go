package installer

import "crypto/x509"

// TrustSteps make the machine trust the CAs, and no longer trust the CAs of an earlier call. The
// last step checks that. An error means that this machine has no store that we know.
func TrustSteps(cas []*x509.Certificate) ([]Step, error) { return trustSteps(cas) }

// UntrustSteps take out of the machine's store what TrustSteps put there, even if our own CA has
// changed since or is gone. The last step checks that the store has neither that nor one of cas,
// which may be empty.
func UntrustSteps(cas []*x509.Certificate) ([]Step, error) { return untrustSteps(cas) }
