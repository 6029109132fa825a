package installer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/windows"

	"tlstunnel/internal/osservice"
)

// folderStep makes a private folder, in which the service's account has the rights in account.
func folderStep(path, account string) Step {
	want := folderSDDL(osservice.AccountSID(), account)
	before := "" // its security descriptor; "": there was no such folder
	return Step{
		Name: fmt.Sprintf("folder %q, private", path),
		Done: func() (bool, error) {
			if found, err := exists(path); !found || err != nil {
				return false, err
			}
			sddl, err := trustedAccess(path)
			return sameAccess(sddl, want), err
		},
		Do: func() error {
			err := makeFolder(path, want)
			if !errors.Is(err, fs.ErrExist) {
				return err
			}
			if before, err = trustedAccess(path); err != nil {
				return err
			}
			return setAccess(path, want)
		},
		Undo: func() error {
			if before == "" {
				return os.Remove(path)
			}
			return setAccess(path, before)
		},
	}
}

// keysStep lets the service's account use the CA and the keys in the service's own folder. An
// administrator has just made them, so only administrators have access. The step doesn't touch
// files in other places: their owner must give access.
func keysStep(dir string) Step {
	want := fileSDDL(osservice.AccountSID(), mayModify)
	before := map[string]string{}
	return Step{
		Name: "CA and keys for administrators and the service only",
		Done: func() (bool, error) {
			files, same := 0, 0
			err := eachFile(dir, func(path string) error {
				sddl, err := descriptorOf(path)
				files++
				if sameAccess(sddl, want) {
					same++
				}
				return err
			})
			return files > 0 && files == same, err
		},
		Do: func() error {
			return eachFile(dir, func(path string) error {
				sddl, err := descriptorOf(path)
				if err != nil {
					return err
				}
				before[path] = sddl
				return setAccess(path, want)
			})
		},
		Undo: func() error {
			var failed error
			for path, sddl := range before {
				failed = errors.Join(failed, setAccess(path, sddl))
			}
			return failed
		},
	}
}

// eachFile calls do with every regular file of a folder, which may be missing.
func eachFile(dir string, do func(path string) error) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			err = errors.Join(err, do(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// makeFolder makes a folder that has its security descriptor from the start.
func makeFolder(path, sddl string) error {
	descriptor, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		return err
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	return windows.CreateDirectory(name, &windows.SecurityAttributes{
		Length:             uint32(unsafe.Sizeof(windows.SecurityAttributes{})),
		SecurityDescriptor: descriptor,
	})
}

const accessParts = windows.OWNER_SECURITY_INFORMATION | windows.GROUP_SECURITY_INFORMATION | windows.DACL_SECURITY_INFORMATION

// descriptorOf is the security descriptor of a file or folder.
func descriptorOf(path string) (sddl string, err error) {
	descriptor, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, accessParts)
	if err != nil {
		return "", fmt.Errorf("reading who may use %q: %w", path, err)
	}
	return descriptor.String(), nil
}

// trustedAccess returns the security descriptor of a folder. It returns an error if the folder is a
// link or belongs to a user who isn't an administrator. Every user may make folders in ProgramData,
// and could put a config, a CA or a link there before the installation.
func trustedAccess(path string) (sddl string, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsDir() {
		return "", fmt.Errorf("%q is no folder but a file or a link: move it away", path)
	}
	descriptor, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, accessParts)
	if err != nil {
		return "", fmt.Errorf("reading who may use %q: %w", path, err)
	}
	owner, _, err := descriptor.Owner()
	if err != nil {
		return "", err
	}
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return "", err
	}
	switch sid := owner.String(); sid {
	case "S-1-5-32-544", "S-1-5-18", osservice.AccountSID(), user.User.Sid.String(): // Administrators, SYSTEM
		return descriptor.String(), nil
	default:
		return "", fmt.Errorf("folder %q belongs to a user (%s) who isn't an administrator: look what is in it, and delete it or move it away", path, sid)
	}
}

// setAccess gives a file or folder the owner and the access list of a security
// descriptor.
func setAccess(path, sddl string) error {
	descriptor, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		return err
	}
	owner, _, err := descriptor.Owner()
	if err != nil {
		return err
	}
	group, _, err := descriptor.Group()
	if err != nil {
		return err
	}
	list, _, err := descriptor.DACL()
	if err != nil {
		return err
	}
	control, _, err := descriptor.Control()
	if err != nil {
		return err
	}
	parts := windows.SECURITY_INFORMATION(accessParts)
	if control&windows.SE_DACL_PROTECTED != 0 {
		parts |= windows.PROTECTED_DACL_SECURITY_INFORMATION
	} else {
		parts |= windows.UNPROTECTED_DACL_SECURITY_INFORMATION
	}
	if err := windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, parts, owner, group, list, nil); err != nil {
		return fmt.Errorf("setting who may use %q: %w", path, err)
	}
	return nil
}
