package sock

import "golang.org/x/sys/windows"

const errPipe = windows.WSAESHUTDOWN
