package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"unsafe"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"

	"tlstunnel/internal/osservice"
)

func dial(ctx context.Context, configFile string) (net.Conn, error) {
	c, err := winio.DialPipeContext(ctx, pipePath(configFile))
	if err != nil {
		return nil, err
	}
	if err := mustBeTrusted(c); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// mustBeTrusted refuses the pipe of another user: every user can make a pipe of that name
// while the service doesn't run.
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
		return fmt.Errorf("the service wasn't asked, as any program may answer in its place: the pipe is of the user %s, who is neither an administrator nor the service nor you", owner)
	}
	return nil
}

// ownSIDs returns the SID of our user and the SID that owns the objects that we make.
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

// trustedOwner reports whether the owner of a pipe is SYSTEM, LOCAL SERVICE, the
// administrators, the service or our user.
func trustedOwner(owner string, ours ...string) bool {
	trusted := append([]string{"S-1-5-18", "S-1-5-19", "S-1-5-32-544", osservice.AccountSID(), osservice.RegisteredSID()}, ours...)
	return owner != "" && slices.Contains(trusted, owner)
}

// explain says what a failed connection to the control channel means.
func explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, windows.ERROR_FILE_NOT_FOUND):
		return fmt.Errorf("%w with this config", ErrNotRunning)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("this user may not speak to the service: use an administrator's prompt: %w", err)
	default:
		return err
	}
}
