//go:build unix

package control

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"tlstunnel/internal/config"
)

// MayBeOthers reports whether a service of another user may run that config: the socket of
// that user accepts connections, or this user may not read its folder. It is false for the
// installed service, whose channel is in the same place for all users.
func MayBeOthers(configFile string) bool {
	if configFile == config.SystemConfig() {
		return false
	}
	for _, path := range othersSockets(configFile) {
		c, err := net.DialTimeout("unix", path, time.Second)
		if err == nil {
			c.Close()
		}
		if err == nil || errors.Is(err, fs.ErrPermission) {
			return true
		}
	}
	return false
}

// othersSockets returns the socket paths of the user who owns the config, and those of other
// users that this user can list.
func othersSockets(configFile string) (paths []string) {
	name := "control" + instance(configFile) + ".sock"
	places := func(user string) []string {
		return []string{filepath.Join("/run/user", user, "tlstunnel", name), filepath.Join(os.TempDir(), "tlstunnel-"+user, name)}
	}
	const root = "/run/tlstunnel"
	for _, pattern := range append(places("*"), filepath.Join(root, name)) {
		seen, _ := filepath.Glob(pattern) // the only error is a bad pattern
		paths = append(paths, seen...)
	}
	if info, err := os.Stat(configFile); err == nil && ownerOf(info) != os.Geteuid() {
		paths = append(paths, places(strconv.Itoa(ownerOf(info)))...)
		if ownerOf(info) == 0 {
			paths = append(paths, filepath.Join(root, name))
		}
	}
	return paths
}
