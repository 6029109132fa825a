package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"tlstunnel/internal/config"
	"tlstunnel/internal/filerights"
	"tlstunnel/internal/osservice"
	"tlstunnel/pki"
)

// installedAccess is nil unless this is root, who alone can look with the eyes of
// somebody else, and systemd runs the config in file as a user of its own.
func installedAccess(file string) refuser {
	if os.Geteuid() != 0 {
		return nil
	}
	p, err := osservice.UnitProperties(append([]string{"LoadState", "ExecStart", "User", "Group", "SupplementaryGroups", "DynamicUser", "RootDirectory", "RootImage"}, viewProperties...)...)
	if err != nil || p["LoadState"] != "loaded" || !runsConfig(p["ExecStart"], file) {
		return nil
	}
	// A user that is made at the start, and a root of its own, show nothing yet.
	if p["User"] == "" || p["DynamicUser"] == "yes" || p["RootDirectory"]+p["RootImage"] != "" {
		return nil
	}
	a, err := lookUpAccount(p["User"], p["Group"], strings.Fields(p["SupplementaryGroups"]))
	if err != nil {
		return nil // systemctl says at the start that there is no such user
	}
	return access{a, viewOf(p)}.refusal
}

// runsConfig says whether ExecStart, as systemctl shows it, runs the config in file.
func runsConfig(execStart, file string) bool {
	for _, flag := range []string{"--config ", "--config="} {
		if _, rest, ok := strings.Cut(execStart, flag); ok {
			rest, ok = strings.CutPrefix(strings.TrimLeft(rest, `"'`), file)
			return ok && strings.IndexAny(rest, ` "'`) == 0
		}
	}
	return file == config.SystemConfig()
}

// account is who the service runs as.
type account struct {
	filerights.User
	group string
}

func lookUpAccount(name, group string, others []string) (account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return account{}, err
		}
	}
	ids, err := u.GroupIds()
	if err != nil {
		return account{}, err
	}
	main := u.Gid
	for i, name := range append([]string{group}, others...) {
		g, err := user.LookupGroup(name)
		if err != nil {
			if g, err = user.LookupGroupId(name); err != nil {
				continue
			}
		}
		if ids = append(ids, g.Gid); i == 0 {
			main = g.Gid
		}
	}
	a := account{group: groupName(main)}
	if a.UID, err = strconv.Atoi(u.Uid); err != nil {
		return account{}, err
	}
	for _, id := range append(ids, main) {
		if a.GID, err = strconv.Atoi(id); err != nil {
			return account{}, err
		}
		a.Groups = append(a.Groups, a.GID)
	}
	return a, nil
}

func groupName(id string) string {
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}

// access is what the service may use.
type access struct {
	account
	view unitView
}

func (a access) refusal(path string, u use) string {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		target = path
	}
	subject := fmt.Sprintf("the service can't %s %q: ", u, path)
	for _, seen := range []string{path, target} {
		text := a.view.refusal(seen, u)
		if text != "" && seen != path && u == toOwn && isFile(target) {
			// To show the service the file alone wouldn't let it put another in its place.
			return fmt.Sprintf("%sit is a link to %q, which the service's unit keeps from it: put the file itself into the place of the link", subject, target)
		}
		if text != "" {
			return subject + text
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		if u == toRead || a.ask(existing(path), toWrite) == nil {
			return ""
		}
		return fmt.Sprintf("%sit isn't there, and the user %q may not make it: `install -d -m 0700 -o %s -g %s %s` does",
			subject, a.Name(), a.Name(), a.group, shellWord(path))
	}
	switch err := a.ask(path, u); {
	case errors.Is(err, syscall.EROFS):
		return subject + "its file system is mounted to be read only"
	case err != nil:
		return subject + a.explain(path, target, u)
	}
	return ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// modeOf are the rights that a use of path needs.
func modeOf(path string, u use) uint32 {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir() && u != toRead:
		return unix.R_OK | unix.W_OK | unix.X_OK
	case u == toWrite:
		return unix.R_OK | unix.W_OK
	default:
		return unix.R_OK
	}
}

// ask asks the kernel, as the account.
func (a access) ask(path string, u use) error {
	return a.faccessat(unix.AT_FDCWD, path, modeOf(path, u), 0)
}

// faccessat tells of a refusal alone. Before Linux 5.8 there is none: nobody could tell.
func (a access) faccessat(dir int, path string, mode uint32, flags int) error {
	err := filerights.As(a.User, func() error { return unix.Faccessat2(dir, path, mode, unix.AT_EACCESS|flags) })
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return err
	}
	return nil
}

// blocked says whether path itself keeps the account out, whatever the folders above do.
func (a access) blocked(path string, mode uint32) bool {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return a.faccessat(fd, "", mode, unix.AT_EMPTY_PATH) != nil
}

// explain says who owns what is in the way, and which commands clear it.
func (a access) explain(path, target string, u use) string {
	var why, remedy []string
	for _, dir := range append(foldersAbove(path), foldersAbove(target)...) {
		text := fmt.Sprintf("pass %q (%s)", dir, ownership(dir))
		if a.blocked(dir, unix.X_OK) && !slices.Contains(why, text) {
			why, remedy = append(why, text), append(remedy, a.grant(dir, "x"))
		}
	}
	then := ""
	if a.blocked(target, modeOf(target, u)) {
		why = append(why, fmt.Sprintf("%s %q (%s)", u, target, ownership(target)))
		var command string
		command, then = a.remedy(target, u)
		remedy = append(remedy, command)
	}
	if len(why) == 0 {
		return fmt.Sprintf("the user %q may not", a.Name()) // SELinux, say
	}
	return fmt.Sprintf("the user %q may not %s: `%s` lets it%s", a.Name(), strings.Join(why, ", nor "), strings.Join(remedy, " && "), then)
}

// remedy is the command that gives the account the use of path, and what is to be done
// then. What the program writes must be its account's: in a folder that root shares
// with it, no command of root's would be safe.
func (a access) remedy(path string, u use) (command, then string) {
	owner, folder := a.Name()+":"+a.group, path
	info, err := os.Stat(path)
	isFile := err == nil && !info.IsDir()
	if isFile {
		folder = filepath.Dir(path)
	}
	switch {
	case u == toRead:
		return a.grant(path, "r"), ""
	case u == toOwn && (isPKI(folder) || isPKI(filepath.Dir(folder))):
		return fmt.Sprintf("chown -R %s %s", owner, shellWord(folder)), ""
	case isFile || isEmpty(folder):
		return fmt.Sprintf("chown %s %s", owner, shellWord(path)), ""
	}
	own := filepath.Join(folder, osservice.Name)
	return fmt.Sprintf("install -d -m 0700 -o %s -g %s %s", a.Name(), a.group, shellWord(own)),
		fmt.Sprintf(" have a folder of its own there, once the config names %q", own)
}

func isPKI(dir string) bool {
	return slices.ContainsFunc(pki.Files(dir), func(file string) bool {
		_, err := os.Lstat(file)
		return err == nil
	})
}

func isEmpty(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) == 0
}

// foldersAbove lists the folders that lead to path, the highest first.
func foldersAbove(path string) (dirs []string) {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
		if dir == filepath.Dir(dir) {
			slices.Reverse(dirs)
			return dirs
		}
	}
}

// grant is the command that gives the account a right: by the group of what is root's
// or in the account's group already, else by an access list, since others may need
// the group that it has.
func (a access) grant(path, right string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	switch st := info.Sys().(*syscall.Stat_t); {
	case int(st.Uid) == a.UID:
		return fmt.Sprintf("chmod u+%s %s", right, shellWord(path))
	case int(st.Gid) == a.GID:
		return fmt.Sprintf("chmod g+%s %s", right, shellWord(path))
	case st.Uid == 0 && st.Gid == 0:
		return fmt.Sprintf("chgrp %s %s && chmod g+%s %s", a.group, shellWord(path), right, shellWord(path))
	default:
		return fmt.Sprintf("setfacl -m u:%s:%s %s", a.Name(), right, shellWord(path))
	}
}

// ownership is OWNER:GROUP MODE, as ls shows it.
func ownership(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "?"
	}
	st := info.Sys().(*syscall.Stat_t)
	owner := filerights.User{UID: int(st.Uid)}
	return fmt.Sprintf("%s:%s %04o", owner.Name(), groupName(strconv.Itoa(int(st.Gid))), info.Mode().Perm())
}

// shellWord quotes path for a shell if it must be.
func shellWord(path string) string {
	if !strings.ContainsFunc(path, func(r rune) bool {
		return !strings.ContainsRune("/.-_+:@%,", r) && !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
	}) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
