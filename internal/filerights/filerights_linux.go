package filerights

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// User is a user with its groups, whose rights to files are used.
type User struct {
	UID, GID int
	Groups   []int // beside GID
}

// Name is what the system calls the user, or the number.
func (u User) Name() string {
	if known, err := user.LookupId(strconv.Itoa(u.UID)); err == nil {
		return known.Username
	}
	return strconv.Itoa(u.UID)
}

// AsOwner does the work with the rights of the owner of the folder that path is in, or
// of path itself if it is a folder. What the work makes there belongs to that owner.
// Only root can do so; everybody else works with the rights that they have. The work
// mustn't leave anything on files to another goroutine.
//
// A link in a folder that isn't root's leads nowhere that its owner couldn't go.
func AsOwner(path string, work func() error) error {
	if os.Geteuid() != 0 {
		return work()
	}
	owner, err := ownerOf(path)
	if err != nil {
		return err
	}
	err = As(owner, work)
	if owner.UID != 0 && errors.Is(err, fs.ErrPermission) && !errors.As(err, new(Refused)) {
		return Refused{err, owner.Name()}
	}
	return err
}

// As does the work with the rights that u has on files. Only root can do so.
func As(u User, work func() error) error {
	done := make(chan error, 1)
	go workAs(u, work, done)
	return <-done
}

// workAs locks its goroutine to the thread (runtime.LockOSThread) if the thread gets other rights
// than root's, and never unlocks it. So the runtime ends the thread with this goroutine, and
// starts no new thread from it: no other goroutine gets the rights. A goroutine that the work
// starts has root's rights.
func workAs(u User, work func() error, done chan<- error) {
	err := errors.New("the work was given up")
	defer func() { done <- err }()
	if u.UID != 0 {
		runtime.LockOSThread()
		if err = become(u); err != nil {
			return
		}
	}
	err = work()
}

// become changes the file rights of the calling thread only. The kernel then takes away the
// capabilities by which root may use other users' files (capabilities(7), "Effect of user ID
// changes").
func become(u User) error {
	if err := unix.Setgroups(u.Groups); err != nil {
		return fmt.Errorf("working as the user %q: %w", u.Name(), err)
	}
	// Both calls report no failure. A call with -1 changes nothing and returns the present value.
	for _, set := range []struct {
		id  int
		set func(int) (int, error)
	}{{u.GID, unix.SetfsgidRetGid}, {u.UID, unix.SetfsuidRetUid}} {
		_, _ = set.set(set.id)
		if now, _ := set.set(-1); now != set.id {
			return fmt.Errorf("working as the user %q, who owns the folder: %w: run as that user, or give the folder to root", u.Name(), syscall.EPERM)
		}
	}
	return nil
}

const maxLinks = 40 // as the kernel

// ownerOf follows path as the kernel does, up to the first symbolic link that a user other than
// root can make, move or rename: that user decides where it leads. A file that doesn't exist yet
// belongs to the last folder that exists.
func ownerOf(path string) (User, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return User{}, err
	}
	at, todo := "/", strings.Split(path, "/")
	var owner User
	for links := 0; len(todo) > 0; todo = todo[1:] {
		next := filepath.Join(at, todo[0])
		info, err := os.Lstat(next)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return owner, nil
		}
		if err != nil {
			return User{}, err
		}
		st := info.Sys().(*syscall.Stat_t)
		who := User{UID: int(st.Uid), GID: int(st.Gid)}
		switch {
		case info.IsDir():
			at, owner = next, who
		case info.Mode()&fs.ModeSymlink == 0:
		case owner.UID != 0:
			return owner, nil
		case who.UID != 0: // in a folder such as /tmp
			return who, nil
		case links == maxLinks:
			return User{}, fmt.Errorf("%q: %w", path, syscall.ELOOP)
		default:
			target, err := os.Readlink(next)
			if err != nil {
				return User{}, err
			}
			if filepath.IsAbs(target) {
				at = "/"
			}
			links++
			todo = append([]string{""}, append(strings.Split(target, "/"), todo[1:]...)...)
		}
	}
	return owner, nil
}
