package control

import (
	"net"
	"path/filepath"
	"strings"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"

	"tlstunnel/internal/config"
)

// pipeAccess lets only SYSTEM, the administrators and the service's own account use the
// control channel.
const pipeAccess = "D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;OW)"

// pipePath ignores upper and lower case in the path, as Windows does.
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

// spendFirst connects to the first instance of a pipe and leaves it. go-winio keeps that
// instance only to hold the name, and never answers on it (its issues #173 and #313). On
// Windows before 10, and on wine, the first client would get it. Newer systems say that it is
// busy.
func spendFirst(pipe string) {
	name, err := windows.UTF16PtrFromString(pipe)
	if err != nil {
		return
	}
	if h, err := windows.CreateFile(name, 0, 0, nil, windows.OPEN_EXISTING, 0, 0); err == nil {
		windows.CloseHandle(h)
	}
}
