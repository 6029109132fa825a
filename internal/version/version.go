// Package version has the version of the product. Every package, message and package of a
// distribution takes it from here.
package version

// Version is what `tlstunnel version` says.
const Version = "0.1.0"
