//go:build unix

package pki

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"tlstunnel/internal/atomicfile"
)

// accessWarnings returns warnings about other users who can access the keys and the folder.
func (l layout) accessWarnings() []string {
	var warnings []string
	for _, key := range []string{l.caKey, l.serverKey, l.nextKey, l.previousKey} {
		if info, err := os.Stat(key); err == nil && info.Mode().Perm()&0o077 != 0 {
			warnings = append(warnings, fmt.Sprintf("others have access to the key %q, whose mode is %04o: run `chmod 600` on it, and replace it if anybody may have copied it", key, info.Mode().Perm()))
		}
	}
	if info, err := os.Stat(l.dir); err == nil && info.Mode().Perm()&0o022 != 0 {
		warnings = append(warnings, fmt.Sprintf("others can replace what is in the folder of the PKI %q, whose mode is %04o: run `chmod go-w` on it", l.dir, info.Mode().Perm()))
	}
	return warnings
}

// keyAccess returns the rights of a new key. If it replaces a key, the group that may read the
// old key may read it. If it is the first key, the group may read it if root has let the group
// into the folder, and no other user. The service's account is in that group.
func keyAccess(file string) atomicfile.Access {
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o040 != 0 {
		return atomicfile.Group
	}
	folder, err := os.Stat(filepath.Dir(file))
	if err != nil || os.Geteuid() != 0 || folder.Mode().Perm()&0o057 != 0o050 || folder.Sys().(*syscall.Stat_t).Gid == 0 {
		return atomicfile.Secret
	}
	return atomicfile.Group
}
