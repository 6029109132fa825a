package installer

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"os/user"
	"strconv"
)

// accountName is the user, and the group, that the service runs as.
const accountName = "tlstunnel"

// account is the number of the user and that of the group.
type account struct{ uid, gid int }

// host is the machine that is changed.
type host struct {
	root    string // before every path; "" but in tests
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

// run runs a program to its end. The error is what it has said.
func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if text := bytes.TrimSpace(out); err != nil && len(text) > 0 {
		return fmt.Errorf("%s: %s", name, text)
	}
	return err
}

// The programs that look after accounts: those of shadow, else those of
// busybox. Debian's adduser needs no mention, since shadow is always there.
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

func (h host) removeAccountStep() Step {
	return Step{
		Name: fmt.Sprintf("remove user and group %q", accountName),
		Done: func() (bool, error) {
			_, userErr := user.Lookup(accountName)
			_, groupErr := user.LookupGroup(accountName)
			hasUser, err1 := found(userErr)
			hasGroup, err2 := found(groupErr)
			return !hasUser && !hasGroup, errors.Join(err1, err2)
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

func (h host) removeUser() error {
	if hasShadow() {
		return h.run("userdel", accountName)
	}
	return h.run("deluser", accountName)
}

// removeGroup has nothing to do when the group has gone with its user, as on
// most systems.
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
