package service

import "golang.org/x/sys/windows"

const (
	errInUse     = windows.WSAEADDRINUSE
	errNoAddress = windows.WSAEADDRNOTAVAIL
	errNoRights  = windows.WSAEACCES

	whoListens     = "`netstat -abno`"
	howToGetRights = "Windows has reserved it (`netsh interface ipv4 show excludedportrange tcp` lists such ranges), or another program holds it for itself alone"
)
