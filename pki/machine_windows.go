package pki

import (
	"context"

	"golang.org/x/sys/windows"
)

// lookUpFQDN asks Windows, which knows without a network. It returns "" when
// there is none.
func lookUpFQDN(context.Context, string) string {
	size := uint32(256) // a DNS name has at most 253 characters
	buf := make([]uint16, size)
	if err := windows.GetComputerNameEx(windows.ComputerNameDnsFullyQualified, &buf[0], &size); err != nil {
		return ""
	}
	return windows.UTF16ToString(buf[:size])
}
