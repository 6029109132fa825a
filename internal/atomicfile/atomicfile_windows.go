package atomicfile

import (
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

func createExclusive(path string, access Access) (*os.File, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	attributes, err := access.securityAttributes(file)
	if err != nil {
		return nil, err
	}
	// Shared for writing too: another process may open what OpenSecret has made
	// before we close it.
	const share = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE
	handle, err := windows.CreateFile(name, windows.GENERIC_WRITE, share,
		attributes, windows.CREATE_NEW, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(handle), path), nil
}

func mkdir(path string, access Access) error {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	attributes, err := access.securityAttributes(folder)
	if err != nil {
		return err
	}
	return windows.CreateDirectory(name, attributes)
}

// publish renames: without MOVEFILE_REPLACE_EXISTING that never overwrites,
// and WRITE_THROUGH returns only when the rename is on the disk.
func publish(temp, path string) error {
	if err := move(temp, path, windows.MOVEFILE_WRITE_THROUGH); err != nil {
		return err
	}
	TestOnlyStep("renamed")
	return nil
}

// How often, and how far apart, replace tries: Windows replaces no file that
// somebody has open, a reader of ours or a virus scanner.
const (
	replaceTries = 20
	replacePause = 50 * time.Millisecond
)

func replace(temp, path string) error {
	for try := 1; ; try++ {
		err := move(temp, path, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
		inUse := errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_ACCESS_DENIED)
		if !inUse || try == replaceTries {
			return err
		}
		time.Sleep(replacePause)
	}
}

func move(from, to string, flags uint32) error {
	fromName, err := windows.UTF16PtrFromString(from)
	if err != nil {
		return err
	}
	toName, err := windows.UTF16PtrFromString(to)
	if err != nil {
		return err
	}
	return windows.MoveFileEx(fromName, toName, flags)
}

// syncDir does nothing: see publish. Windows can't sync a folder.
func syncDir(string) error { return nil }

// securityAttributes is nil for Public: the parent folder decides.
func (a Access) securityAttributes(k kind) (*windows.SecurityAttributes, error) {
	if a != Secret {
		return nil, nil
	}
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("looking up the current user: %w", err)
	}
	descriptor, err := windows.SecurityDescriptorFromString(secretSDDL(user.User.Sid.String(), k))
	if err != nil {
		return nil, fmt.Errorf("making the access list: %w", err)
	}
	return &windows.SecurityAttributes{
		Length:             uint32(unsafe.Sizeof(windows.SecurityAttributes{})),
		SecurityDescriptor: descriptor,
	}, nil
}
