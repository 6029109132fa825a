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

// MayBeOthers reports whether a service of another user may run that config, whose channel
// isn't where this user looks for it: a socket there takes connections, or lies where this
// user may not look. The channel of the installed service is in the same place for all.
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

// othersSockets are the places of the user who owns the config, and of others as far as
// this user sees sockets there.
func othersSockets(configFile string) (paths []string) {
	name := "control" + instance(configFile) + ".sock"
	places := func(user string) []string {
		return []string{filepath.Join("/run/user", user, "tlstunnel", name), filepath.Join(os.TempDir(), "tlstunnel-"+user, name)}
	}
	const root = "/run/tlstunnel"
	for _, pattern := range append(places("*"), filepath.Join(root, name)) {
		seen, _ := filepath.Glob(pattern) // the pattern is a good one
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
