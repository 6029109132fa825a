//go:build unix

package certfile

import (
	"fmt"
	"os"
	"syscall"
)

// AccessWarning says who else has access to a secret file that the user brings along,
// and what to do; "" if nobody has. It begins with what the file is. On Windows it has
// nothing to say. The group of what somebody else owns, root above all, may read it:
// so a service gets the right to.
func AccessWarning(what, file string) string {
	info, err := os.Stat(file)
	if err != nil {
		return "" // the read of the file fails too, and says so
	}
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	allowed, advice := os.FileMode(0o700), "run `chmod 600` on it"
	if owner == 0 || owner != os.Geteuid() {
		allowed, advice = 0o740, "run `chmod 640` on it, after a `chgrp` to the group of the user that runs tlstunnel"
	}
	mode := info.Mode().Perm()
	if mode&^allowed == 0 {
		return ""
	}
	return fmt.Sprintf("the %s %q is open to others, its mode being %04o: %s, and replace it if anybody may have copied it", what, file, mode, advice)
}
