// Package certfile reads and judges what a person brings: certificates, keys, CA bundles,
// revocation lists and requests, in PEM, DER, PKCS#7 or PKCS#12. Each fault is one sentence
// that names the file and says what to do. The package writes no file, and knows nothing of
// our own CA, which is in package pki. It takes the time as a parameter.
//
//	pair, err := certfile.LoadKeyPair("pacs.crt", "pacs.key", "")
//	for _, warning := range certfile.ChainWarnings(pair, false, nil, time.Now()) { ... }
package certfile
