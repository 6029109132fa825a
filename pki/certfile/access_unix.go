//go:build unix

package certfile

import (
	"fmt"
	"os"
	"syscall"
)

// AccessWarning says which other users can read a secret file of the user, and what to do; ""
// if none can. what is the kind of file. The group may read a file of another owner, such as
// root: that is how a service gets the right to read it. On Windows AccessWarning returns "".
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
