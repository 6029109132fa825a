package tunnel

import "golang.org/x/sys/windows"

// raiseFileLimit has nothing to do: handles have no such limit.
func raiseFileLimit() {}

// errRefused is for a port where nothing listens.
const errRefused = windows.WSAECONNREFUSED
