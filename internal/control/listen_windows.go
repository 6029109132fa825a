package control

import (
	"net"
	"path/filepath"
	"strings"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"

	"tlstunnel/internal/config"
)

// pipeAccess lets SYSTEM, the administrators and the service's own account use
// the control channel, and nobody else.
const pipeAccess = "D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;OW)"

// pipePath doesn't tell upper from lower case in the path, as Windows doesn't.
func pipePath(configFile string) string {
	file := filepath.Clean(configFile)
	if strings.EqualFold(file, config.SystemConfig()) {
		return `\\.\pipe\tlstunnel`
	}
	return `\\.\pipe\tlstunnel` + instance(strings.ToLower(file))
}

func listen(configFile string) (net.Listener, error) {
	name := pipePath(configFile)
	l, err := winio.ListenPipe(name, &winio.PipeConfig{SecurityDescriptor: pipeAccess})
	if err != nil {
		return nil, err
	}
	spendFirst(name)
	return l, nil
}

// spendFirst connects to the first instance of a pipe and leaves it. On
// Windows before 10, and wine, the first client would get that one, where nobody
// answers: go-winio keeps it only to hold the name (its issues #173 and #313).
// Others say that it is busy.
func spendFirst(pipe string) {
	name, err := windows.UTF16PtrFromString(pipe)
	if err != nil {
		return
	}
	if h, err := windows.CreateFile(name, 0, 0, nil, windows.OPEN_EXISTING, 0, 0); err == nil {
		windows.CloseHandle(h)
	}
}
