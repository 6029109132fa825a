// Package interop holds tests of the whole program against programs that we
// didn't write: OpenSSL, Python, stunnel, DCMTK and PostgreSQL. It has no code
// of its own.
//
// Each test runs where its program is installed and is skipped otherwise. With
// TLSTUNNEL_REQUIRE_INTEROP=1, as on CI, a missing program is a failure:
//
//	apt-get install stunnel4 dcmtk openssl python3 postgresql strace
//	TLSTUNNEL_REQUIRE_INTEROP=1 go test ./internal/interop
//
// The tests build on Linux only: elsewhere the programs of these names are
// other ones, such as the LibreSSL that macOS has for openssl.
package interop
