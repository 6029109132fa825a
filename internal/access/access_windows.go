package access

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"tlstunnel/internal/osservice"
)

// installedAccess returns nil unless the service is registered with the config in file and an
// account of its own, and this process is an administrator's: only an administrator can read
// every access list.
func installedAccess(file string) refuser {
	if !windows.GetCurrentProcessToken().IsElevated() {
		return nil
	}
	registered, account, err := osservice.Registered()
	if err != nil || strings.EqualFold(account, "LocalSystem") || !strings.EqualFold(registered, file) {
		return nil
	}
	// The groups that every service is in: Everyone, Authenticated Users, SERVICE, Users,
	// ALL SERVICES.
	a := access{name: account, sids: []string{osservice.AccountSID(), "S-1-1-0", "S-1-5-11", "S-1-5-6", "S-1-5-32-545", "S-1-5-80-0"}}
	if !strings.EqualFold(account, osservice.Account) {
		a.sids = append(a.sids, osservice.RegisteredSID())
	}
	return a.refusal
}

// access is what the service may use.
type access struct {
	name string
	sids []string
}

// Rights to files and folders, and the letters with which icacls gives them.
var (
	accessMask = map[use]uint32{toRead: windows.FILE_READ_DATA, toWrite: windows.FILE_READ_DATA | windows.FILE_WRITE_DATA, toOwn: windows.FILE_READ_DATA}
	icaclsWord = map[use]string{toRead: "R", toWrite: "M", toOwn: "M"}
)

func (a access) refusal(path string, u use) string {
	subject := fmt.Sprintf("the service can't %s %q: ", u, path)
	volume := filepath.VolumeName(path) + `\`
	if name, err := windows.UTF16PtrFromString(volume); err == nil && len(volume) == 3 && windows.GetDriveType(name) == windows.DRIVE_REMOTE {
		return subject + "its drive is on the network and connected for a user, which a service doesn't see: name it as \\\\SERVER\\SHARE"
	}
	target := existing(path)
	if u == toRead && target != path || strings.HasPrefix(volume, `\\`) || !keepsAccess(volume) {
		return "" // Check reports missing files; only a file server knows what it allows
	}
	info, err := os.Stat(target)
	if err != nil {
		return ""
	}
	mask, word := accessMask[u], icaclsWord[u]
	if info.IsDir() && u != toRead {
		mask |= windows.FILE_WRITE_DATA // for a folder this is the right to make files in it
		word = "(OI)(CI)" + word
	}
	list, err := accessList(target)
	if err != nil || list == nil || granted(list, a.sids, mask) {
		return ""
	}
	return fmt.Sprintf("%sthe access list of %q doesn't let its account: `icacls \"%s\" /grant \"%s:%s\"` does", subject, target, target, a.name, word)
}

// keepsAccess reports whether a volume has access lists. FAT has none.
func keepsAccess(volume string) bool {
	name, err := windows.UTF16PtrFromString(volume)
	if err != nil {
		return false
	}
	var flags uint32
	err = windows.GetVolumeInformation(name, nil, 0, nil, nil, &flags, nil, 0)
	return err == nil && flags&windows.FILE_PERSISTENT_ACLS != 0
}

// accessList returns nil for an object without an access list, which everybody may use.
func accessList(path string) (list []aclEntry, err error) {
	descriptor, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return nil, err
	}
	dacl, _, err := descriptor.DACL()
	if err != nil || dacl == nil {
		return nil, err
	}
	list = []aclEntry{}
	for i := range uint32(dacl.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE // a deny entry has the same layout
		if err := windows.GetAce(dacl, i, &ace); err != nil {
			return nil, err
		}
		kind := ace.Header.AceType
		if ace.Header.AceFlags&windows.INHERIT_ONLY_ACE != 0 || kind != windows.ACCESS_ALLOWED_ACE_TYPE && kind != windows.ACCESS_DENIED_ACE_TYPE {
			continue
		}
		sid := (*windows.SID)(unsafe.Pointer(&ace.SidStart))
		list = append(list, aclEntry{kind == windows.ACCESS_ALLOWED_ACE_TYPE, specific(uint32(ace.Mask)), sid.String()})
	}
	return list, nil
}

// specific adds the file rights that the generic rights in a mask stand for.
func specific(mask uint32) uint32 {
	if mask&(windows.GENERIC_ALL|windows.GENERIC_READ) != 0 {
		mask |= windows.FILE_READ_DATA
	}
	if mask&(windows.GENERIC_ALL|windows.GENERIC_WRITE) != 0 {
		mask |= windows.FILE_WRITE_DATA
	}
	return mask
}
