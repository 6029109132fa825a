package cli

import (
	"os"
	"syscall"
)

// dropRights makes a process of root's one of the user nobody.
func dropRights() error {
	if os.Geteuid() != 0 {
		return nil
	}
	const nobody = 65534
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setgid(nobody); err != nil {
		return err
	}
	return syscall.Setuid(nobody)
}
