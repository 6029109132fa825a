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

// installedAccess returns nil unless systemd runs the config in file as a user of its own,
// and this process is root: only root can ask the kernel as another user.
func installedAccess(file string) refuser {
	if os.Geteuid() != 0 {
		return nil
	}
	p, err := osservice.UnitProperties(append([]string{"LoadState", "ExecStart", "User", "Group", "SupplementaryGroups", "DynamicUser", "RootDirectory", "RootImage"}, viewProperties...)...)
	if err != nil || p["LoadState"] != "loaded" || !runsConfig(p["ExecStart"], file) {
		return nil
	}
	// A DynamicUser or a RootDirectory of its own exists only while the service runs.
	if p["User"] == "" || p["DynamicUser"] == "yes" || p["RootDirectory"]+p["RootImage"] != "" {
		return nil
	}
	a, err := lookUpAccount(p["User"], p["Group"], strings.Fields(p["SupplementaryGroups"]))
	if err != nil {
		return nil // systemctl reports a user that doesn't exist at the start
	}
	return access{a, viewOf(p)}.refusal
}

// runsConfig reports whether ExecStart, as systemctl shows it, runs the config in file.
func runsConfig(execStart, file string) bool {
	for _, flag := range []string{"--config ", "--config="} {
		if _, rest, ok := strings.Cut(execStart, flag); ok {
			rest, ok = strings.CutPrefix(strings.TrimLeft(rest, `"'`), file)
			return ok && strings.IndexAny(rest, ` "'`) == 0
		}
	}
	return file == config.SystemConfig()
}

// account is the user and the groups that the service runs as.
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
			// With a bind mount of the file alone, the service couldn't replace the file.
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

// modeOf returns the rights that a use of path needs.
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

// faccessat returns an error only for a refusal. Before Linux 5.8 there is no faccessat2, and it
// refuses nothing.
func (a access) faccessat(dir int, path string, mode uint32, flags int) error {
	err := filerights.As(a.User, func() error { return unix.Faccessat2(dir, path, mode, unix.AT_EACCESS|flags) })
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return err
	}
	return nil
}

// blocked reports whether path itself keeps the account out, apart from the folders above it.
func (a access) blocked(path string, mode uint32) bool {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return a.faccessat(fd, "", mode, unix.AT_EMPTY_PATH) != nil
}

// explain names the file or folder in the way with its owner, and the commands that help.
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
		return fmt.Sprintf("the user %q may not", a.Name()) // for example because of SELinux
	}
	return fmt.Sprintf("the user %q may not %s: `%s` lets it%s", a.Name(), strings.Join(why, ", nor "), strings.Join(remedy, " && "), then)
}

// remedy returns the command that gives the account the use of path, and what to do next.
// Files that the program writes must belong to its account: in a folder where both root and
// the account write, no command that root runs would be safe.
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

// foldersAbove returns the folders above path, the highest first.
func foldersAbove(path string) (dirs []string) {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
		if dir == filepath.Dir(dir) {
			slices.Reverse(dirs)
			return dirs
		}
	}
}

// grant returns the command that gives the account a right. It uses the group if the file has
// root's group or the account's group. Otherwise it uses an access list, because other users may
// need the group that the file has.
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

// ownership returns OWNER:GROUP MODE, as ls shows it.
func ownership(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "?"
	}
	st := info.Sys().(*syscall.Stat_t)
	owner := filerights.User{UID: int(st.Uid)}
	return fmt.Sprintf("%s:%s %04o", owner.Name(), groupName(strconv.Itoa(int(st.Gid))), info.Mode().Perm())
}

// shellWord quotes path for a shell if it needs quotes.
func shellWord(path string) string {
	if !strings.ContainsFunc(path, func(r rune) bool {
		return !strings.ContainsRune("/.-_+:@%,", r) && !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
	}) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
