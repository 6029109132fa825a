package installer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// accountName is the user, and the group, that the service runs as.
const accountName = "tlstunnel"

// account has the numbers of the user and of the group.
type account struct{ uid, gid int }

// host is the machine that the steps change.
type host struct {
	root    string // in front of every path; only tests have one
	run     func(name string, args ...string) error
	account func() (account, error)
}

// lookUpAccount finds the account of the service.
func lookUpAccount() (account, error) {
	u, err := user.Lookup(accountName)
	if err != nil {
		return account{}, err
	}
	g, err := user.LookupGroup(accountName)
	if err != nil {
		return account{}, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return account{}, err
	}
	gid, err := strconv.Atoi(g.Gid)
	return account{uid, gid}, err
}

// run runs a program to its end. If it fails, the error has what it printed.
func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if text := bytes.TrimSpace(out); err != nil && len(text) > 0 {
		return fmt.Errorf("%s: %s", name, text)
	}
	return err
}

// hasShadow reports whether accounts are made with shadow's programs (useradd) or with busybox's
// (adduser). Debian's own adduser isn't needed, because Debian always has shadow.
func hasShadow() bool {
	_, err := exec.LookPath("useradd")
	return err == nil
}

func (h host) groupStep() Step {
	return Step{
		Name: fmt.Sprintf("group %q", accountName),
		Done: func() (bool, error) {
			_, err := user.LookupGroup(accountName)
			return found(err)
		},
		Do: func() error {
			if hasShadow() {
				return h.run("groupadd", "--system", accountName)
			}
			return h.run("addgroup", "-S", accountName)
		},
		Undo: h.removeGroup,
	}
}

func (h host) userStep() Step {
	return Step{
		Name: fmt.Sprintf("user %q, who can't log in", accountName),
		Done: func() (bool, error) {
			_, err := user.Lookup(accountName)
			return found(err)
		},
		Do: func() error {
			shell := "/bin/false"
			if nologin, err := exec.LookPath("nologin"); err == nil {
				shell = nologin
			}
			if hasShadow() {
				return h.run("useradd", "--system", "--gid", accountName, "--home-dir", stateFolder.path, "--no-create-home",
					"--shell", shell, "--comment", "TLS tunnels", accountName)
			}
			return h.run("adduser", "-S", "-D", "-H", "-G", accountName, "-h", stateFolder.path, "-s", shell, "-g", "TLS tunnels", accountName)
		},
		Undo: h.removeUser,
	}
}

// removeAccountStep removes the account that groupStep and userStep, or a package, have made. If
// an account of that name belongs to somebody else, it stays.
func (h host) removeAccountStep() Step {
	foreign := h.foreignAccount()
	return Step{
		Name:  fmt.Sprintf("remove user and group %q", accountName),
		Extra: foreign != "",
		Check: func() error {
			if foreign == "" {
				return nil
			}
			return fmt.Errorf("both are kept, as the user isn't the one that `tlstunnel install` makes: %s; remove it yourself if nobody needs it", foreign)
		},
		Done: func() (bool, error) {
			_, userErr := user.Lookup(accountName)
			_, groupErr := user.LookupGroup(accountName)
			hasUser, err1 := found(userErr)
			hasGroup, err2 := found(groupErr)
			return foreign == "" && !hasUser && !hasGroup, errors.Join(err1, err2)
		},
		Do: func() error {
			if _, err := user.Lookup(accountName); err == nil {
				if err := h.removeUser(); err != nil {
					return err
				}
			}
			return h.removeGroup()
		},
	}
}

// foreignAccount says why the user belongs to somebody else. It returns "" if the user is ours or
// doesn't exist. It needn't look for a user in a directory (LDAP): no program here removes that.
func (h host) foreignAccount() string {
	data, err := os.ReadFile(h.root + "/etc/passwd")
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(string(data)) {
		// name:password:uid:gid:comment:home:shell
		fields := strings.Split(strings.TrimSpace(line), ":")
		if fields[0] != accountName || len(fields) < 7 {
			continue
		}
		home, shell := fields[5], fields[6]
		if uid, err := strconv.Atoi(fields[2]); err != nil || uid >= firstLoginUser {
			return "its number is " + fields[2] + ", and a system account's is lower than " + strconv.Itoa(firstLoginUser)
		}
		if !slices.Contains([]string{"nologin", "false"}, filepath.Base(shell)) {
			return fmt.Sprintf("it can log in, by the shell %q", shell)
		}
		if home != stateFolder.path && home != packagedHome {
			return fmt.Sprintf("its home is %q", home)
		}
	}
	return ""
}

const (
	firstLoginUser = 1000           // UID_MIN in login.defs(5), the same on every system
	packagedHome   = "/nonexistent" // the home that a package gives the account
)

func (h host) removeUser() error {
	if hasShadow() {
		return h.run("userdel", accountName)
	}
	return h.run("deluser", accountName)
}

// removeGroup removes the group. On most systems the group is gone together with its user.
func (h host) removeGroup() error {
	if _, err := user.LookupGroup(accountName); err != nil {
		return nil
	}
	if hasShadow() {
		return h.run("groupdel", accountName)
	}
	return h.run("delgroup", accountName)
}

// found reports whether a look-up has found something.
func found(err error) (bool, error) {
	var noUser user.UnknownUserError
	var noGroup user.UnknownGroupError
	if errors.As(err, &noUser) || errors.As(err, &noGroup) {
		return false, nil
	}
	return err == nil, err
}
