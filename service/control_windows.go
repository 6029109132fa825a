package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"

	"tlstunnel/internal/config"
	"tlstunnel/internal/osservice"
)

// pipeAccess lets SYSTEM, the administrators and the service's own account use
// the control channel, and nobody else.
const pipeAccess = "D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;OW)"

// controlPipe doesn't tell upper from lower case in the path, as Windows doesn't.
func controlPipe(configFile string) string {
	file := filepath.Clean(configFile)
	if strings.EqualFold(file, config.SystemConfig()) {
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
	c, err := winio.DialPipeContext(ctx, controlPipe(configFile))
	if err != nil {
		return nil, err
	}
	if err := mustBeTrusted(c); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// mustBeTrusted refuses the pipe of a stranger: every user can make one of that name while
// the service doesn't run.
func mustBeTrusted(c net.Conn) error {
	pipe, ok := c.(interface{ Fd() uintptr })
	if !ok {
		return errors.New("the control channel isn't a pipe")
	}
	descriptor, err := windows.GetSecurityInfo(windows.Handle(pipe.Fd()), windows.SE_KERNEL_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return fmt.Errorf("asking who has made the control channel: %w", err)
	}
	owner, _, err := descriptor.Owner()
	if err != nil {
		return fmt.Errorf("asking who has made the control channel: %w", err)
	}
	ours, err := ownSIDs()
	if err != nil {
		return err
	}
	if !trustedOwner(owner.String(), ours...) {
		return fmt.Errorf("who answers on the control channel may be anybody, and isn't asked: the pipe is of the user %s, who is neither an administrator nor the service nor you", owner)
	}
	return nil
}

// ownSIDs are that of our user and that of whom the things belong to that we make.
func ownSIDs() ([]string, error) {
	token := windows.GetCurrentProcessToken()
	user, err := token.GetTokenUser()
	if err != nil {
		return nil, err
	}
	var buf [16]uintptr // a TOKEN_OWNER and its SID, of 68 bytes at most
	var size uint32
	if err := windows.GetTokenInformation(token, windows.TokenOwner, (*byte)(unsafe.Pointer(&buf)), uint32(unsafe.Sizeof(buf)), &size); err != nil {
		return nil, err
	}
	owner := *(**windows.SID)(unsafe.Pointer(&buf))
	return []string{user.User.Sid.String(), owner.String()}, nil
}

// trustedOwner says whether a pipe that belongs to the SID owner is SYSTEM's, LOCAL
// SERVICE's, the administrators', the service's or ours.
func trustedOwner(owner string, ours ...string) bool {
	trusted := append([]string{"S-1-5-18", "S-1-5-19", "S-1-5-32-544", osservice.AccountSID(), osservice.RegisteredSID()}, ours...)
	return owner != "" && slices.Contains(trusted, owner)
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
