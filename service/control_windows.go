package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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

// systemConfig is the config of the installed service.
func systemConfig() string { return config.DefaultPaths().Config }

// controlPipe doesn't tell upper from lower case in the path, as Windows doesn't.
func controlPipe(configFile string) string {
	file := filepath.Clean(configFile)
	if strings.EqualFold(file, systemConfig()) {
		return `\\.\pipe\tlstunnel`
	}
	return `\\.\pipe\tlstunnel` + instance(strings.ToLower(file))
}

func listenControl(configFile string) (net.Listener, error) {
	name := controlPipe(configFile)
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

func dialControl(ctx context.Context, configFile string) (net.Conn, error) {
	return winio.DialPipeContext(ctx, controlPipe(configFile))
}

// explainControl says what a failed connection to the control channel means.
func explainControl(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, windows.ERROR_FILE_NOT_FOUND):
		return fmt.Errorf("%w with this config", ErrNotRunning)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("this user may not speak to the service: use an administrator's prompt: %w", err)
	default:
		return err
	}
}
