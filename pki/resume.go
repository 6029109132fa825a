package pki

import (
	"crypto/tls"
	"os"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/chain"
	"tlstunnel/pki/certfile"
)

// resume publishes what a killed run had no time for: when there is half of a
// pair, and the other half among the leftovers. It returns the paths of what it
// published. A half without the other stays as it is, for [layout.contradiction].
func (l layout) resume() (made []string, err error) {
	if err := l.resumeRotation(); err != nil {
		return nil, err
	}
	have, err := l.present()
	if err != nil {
		return nil, err
	}
	if have.caCert != have.caKey {
		if made, err = resumePair(have.caCert, l.caCert, l.caKey, isRoot); err != nil {
			return nil, err
		}
	}
	if have.serverCert != have.serverKey {
		more, err := resumePair(have.serverCert, l.serverCert, l.serverKey, l.isFromCA)
		return append(made, more...), err
	}
	if have.server() {
		return made, l.resumeRenewal()
	}
	return made, nil
}

// resumePair publishes the missing half of a pair, and returns its path, or
// none if it isn't among the leftovers.
func resumePair(haveCert bool, cert, key string, fits func(tls.Certificate) bool) ([]string, error) {
	_, missing := halves(haveCert, cert, key)
	leftovers, err := atomicfile.Leftovers(missing)
	if err != nil {
		return nil, err
	}
	for _, leftover := range leftovers {
		if haveCert {
			key = leftover
		} else {
			cert = leftover
		}
		pair, err := certfile.LoadKeyPair(cert, key, "") // an error if one isn't whole or belongs to another
		if err != nil || !isRegular(leftover) || !fits(pair) {
			continue
		}
		pending, err := atomicfile.Resume(leftover, missing)
		if err != nil {
			return nil, err
		}
		return []string{missing}, pending.Publish()
	}
	return nil, nil
}

func isRoot(ca tls.Certificate) bool { return chain.IsCA(ca.Leaf) && chain.SelfSigned(ca.Leaf) }

func (l layout) isFromCA(server tls.Certificate) bool {
	ca, err := certfile.LoadKeyPair(l.caCert, l.caKey, "")
	return err == nil && server.Leaf.CheckSignatureFrom(ca.Leaf) == nil
}

func isRegular(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular()
}
