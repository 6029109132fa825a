// Package version has the version of the product. Code, messages, deb, rpm and MSI all use this
// constant.
package version

// Version is the version that `tlstunnel version` prints.
const Version = "0.1.0"
