package installer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// setting has the owner and the mode of a file.
type setting struct {
	path string
	mode os.FileMode
	account
}

func settingOf(path string, info os.FileInfo) setting {
	st := info.Sys().(*syscall.Stat_t)
	return setting{path, info.Mode().Perm(), account{int(st.Uid), int(st.Gid)}}
}

// apply gives the file its owner and mode. It skips a symbolic link, and a file with several hard
// links: the owner of the folder could have linked a file of another user into it.
func (s setting) apply() error {
	f, err := os.OpenFile(s.path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENXIO) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.IsDir() && (!info.Mode().IsRegular() || info.Sys().(*syscall.Stat_t).Nlink > 1) {
		return nil
	}
	if err := f.Chown(s.uid, s.gid); err != nil {
		return err
	}
	return f.Chmod(s.mode)
}

// folderStep makes a folder with its owner and mode. If the folder exists and belongs to another
// account, for example because root has tried the program, its content changes the owner too.
func (h host) folderStep(f folder) Step {
	owner := "root"
	if f.service {
		owner = accountName
	}
	var path string      // where it really is
	var before []setting // nil: there was no such folder
	return Step{
		Name: fmt.Sprintf("folder %q (%04o, %s:%s)", f.path, f.mode, owner, accountName),
		Done: func() (bool, error) {
			var err error
			if path, err = h.place(f); err != nil {
				return false, err
			}
			a, err := h.account()
			if ok, err := found(err); !ok {
				return false, err
			}
			info, err := os.Stat(path)
			if errors.Is(err, fs.ErrNotExist) {
				return false, nil
			}
			if err != nil {
				return false, err
			}
			return settingOf(path, info) == setting{path, f.mode, f.owner(a)}, nil
		},
		Do: func() error {
			a, err := h.account()
			if err != nil {
				return err
			}
			want := setting{path, f.mode, f.owner(a)}
			// Before the folder has its owner, it must not be open for more users than after.
			if err := os.Mkdir(path, 0o700); err == nil {
				return want.apply()
			} else if !errors.Is(err, fs.ErrExist) {
				return err
			}
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			before = []setting{settingOf(path, info)}
			if f.service && before[0].account != want.account {
				if before, err = takeOver(path, want.account); err != nil {
					return errors.Join(err, restore(before))
				}
			}
			return want.apply()
		},
		Undo: func() error {
			if before == nil {
				return os.Remove(path)
			}
			return restore(before)
		},
	}
}

// place returns where the folder is, or will be. The config's folder may be a symbolic link that
// root has made. For StateDirectory and LogsDirectory systemd accepts no link.
func (h host) place(f folder) (string, error) {
	path := h.root + f.path
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if f.service {
			return "", fmt.Errorf("%q is a link, and systemd takes none for a folder of a service's: make it a folder, with a bind mount if it has to be elsewhere", path)
		}
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return "", fmt.Errorf("%q is a link that leads to no folder: make the folder, or delete the link: %w", h.root+f.path, err)
		}
		info, err = os.Stat(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, nil
	case err != nil:
		return "", err
	case !info.IsDir():
		return "", fmt.Errorf("%q isn't a folder: move it away", path)
	}
	return path, nil
}

func (f folder) owner(a account) account {
	if !f.service {
		a.uid = 0
	}
	return a
}

// takeOver gives all that is in dir to the account, and returns the settings before that.
func takeOver(dir string, a account) (before []setting, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		s := settingOf(path, info)
		before = append(before, s)
		return setting{path, s.mode, a}.apply()
	})
	return before, err
}

func restore(before []setting) error {
	var failed error
	for _, s := range before {
		if err := s.apply(); !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// readableStep lets the account read a config that is older than the installation. If the account
// can't read it, the step gives the file to the account's group and lets the group read it.
func (h host) readableStep(config string) Step {
	path := h.root + config
	var before *setting
	return Step{
		Name: fmt.Sprintf("%q readable for the service", config),
		Done: func() (bool, error) {
			a, err := h.account()
			if ok, err := found(err); !ok {
				return false, err
			}
			info, err := os.Stat(path)
			if errors.Is(err, fs.ErrNotExist) {
				return true, nil // this is a dry run: the step before would write a readable config
			}
			if err != nil {
				return false, err
			}
			return settingOf(path, info).readableBy(a), nil
		},
		Do: func() error {
			a, err := h.account()
			if err != nil {
				return err
			}
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			s := settingOf(path, info)
			before = &s
			return setting{path, s.mode | 0o040, account{s.uid, a.gid}}.apply()
		},
		Undo: func() error { return before.apply() },
	}
}

func (s setting) readableBy(a account) bool {
	switch {
	case s.uid == a.uid:
		return s.mode&0o400 != 0
	case s.gid == a.gid:
		return s.mode&0o040 != 0
	default:
		return s.mode&0o004 != 0
	}
}
