//go:build unix

package pki

import (
	"context"
	"net"
	"strings"
)

// lookUpFQDN asks the resolver for the canonical name of host, which may come from /etc/hosts.
// It returns "" if there is none.
func lookUpFQDN(ctx context.Context, host string) string {
	name, err := net.DefaultResolver.LookupCNAME(ctx, host)
	name = strings.TrimSuffix(name, ".")
	if err != nil || !strings.Contains(name, ".") {
		return ""
	}
	return name
}
