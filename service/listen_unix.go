//go:build unix

package service

import "syscall"

const (
	errInUse     = syscall.EADDRINUSE
	errNoAddress = syscall.EADDRNOTAVAIL
	errNoRights  = syscall.EACCES

	whoListens     = "`ss -ltnp`"
	howToGetRights = "ports below 1024 are for root, or for a program with the capability CAP_NET_BIND_SERVICE"
)
