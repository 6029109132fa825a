package tunnel

import "golang.org/x/sys/windows"

// raiseFileLimit has nothing to do: handles have no such limit.
func raiseFileLimit() {}

// openFiles is 0: the system doesn't tell.
func openFiles() int { return 0 }

// errRefused is for a port where nothing listens.
const errRefused = windows.WSAECONNREFUSED
