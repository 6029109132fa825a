// Package access finds out what the account of the installed service may do with the files
// that a config names, and which command gives it a missing right. On Linux it asks the kernel
// and reads the settings of the unit, on Windows it reads access lists. It changes nothing.
//
//	problems := access.Check(cfg, time.Now())
package access

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/pki"
	"tlstunnel/service/compile"
)

// Check is [compile.Check] as the installed service sees the files, if it runs cfg. An
// administrator can read files that the account of the service can't, and that its unit hides
// from it. Check also finds what the account can't read or write, and says how to allow it.
func Check(cfg *config.Config, now time.Time) config.Problems {
	problems, refused := compile.Check(cfg, now), Problems(cfg)
	// The check reports a file that the service doesn't see: don't report it as missing too.
	problems = slices.DeleteFunc(problems, func(p config.Problem) bool {
		return !p.Warning && slices.ContainsFunc(refused, func(r config.Problem) bool {
			return !r.Warning && r.Line == p.Line && r.Col == p.Col
		})
	})
	problems = append(problems, refused...)
	problems.Sort()
	return problems
}

// Problems returns what Check finds beyond [compile.Check]: what the account of the installed
// service can't read or write, if it runs cfg.
func Problems(cfg *config.Config) config.Problems {
	return problemsOf(cfg, installedAccess(cfg.File))
}

// use is what the service does with a file or a folder.
type use string

const (
	toRead  use = "read"
	toWrite use = "write" // write the file, or in the folder; make it if it doesn't exist
	toOwn   use = "use"   // the program's own files and folders: toWrite a folder, toRead a file
)

// refuser returns what keeps the service from a use of path, and how to allow it; "" if
// nothing does. A missing file that is only read counts as allowed.
type refuser func(path string, u use) string

// problemsOf asks refuse about each file that cfg names or the program uses, and returns the
// refusals as problems. refuse may be nil.
func problemsOf(cfg *config.Config, refuse refuser) (problems config.Problems) {
	if refuse == nil {
		return nil
	}
	report := func(tunnel int, key, text string, warning bool) {
		if text == "" {
			return
		}
		p := cfg.Problem(tunnel, key, text)
		p.Warning = warning
		if !slices.Contains(problems, p) {
			problems = append(problems, p)
		}
	}
	report(-1, "", refuse(cfg.File, toRead), false)
	for _, f := range cfg.Files() {
		switch {
		case f.Folder:
			report(f.Tunnel, f.Key, pkiRefusal(f.Path, refuse), !compile.NeedsPKI(cfg))
		case f.Written:
			report(f.Tunnel, f.Key, refuse(writePlace(f.Path), toWrite), true)
		default:
			report(f.Tunnel, f.Key, refuse(f.Path, toRead), false)
		}
	}
	return problems
}

// existing returns path, or the nearest folder above it that exists.
func existing(path string) string {
	for path != filepath.Dir(path) {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		path = filepath.Dir(path)
	}
	return path
}

// writePlace returns what the log needs to write: the file, or the folder if the file doesn't
// exist yet. Rotation also needs the folder, but without it goes on in the old file.
func writePlace(file string) string {
	if _, err := os.Lstat(file); err == nil {
		return file
	}
	return filepath.Dir(file)
}

// pkiRefusal returns the first file in the PKI's folder that the service can't use. The same
// command repairs all of them.
func pkiRefusal(dir string, refuse refuser) string {
	if text := refuse(dir, toOwn); text != "" {
		return text
	}
	for _, file := range append(pki.Files(dir), pki.OwnCRL(dir)) {
		if text := refuse(file, toOwn); text != "" {
			return text
		}
	}
	acme, _ := filepath.Glob(filepath.Join(pki.ACMEDir(dir), "*"))
	for _, file := range append([]string{pki.LockFile(dir), pki.IndexFile(dir), pki.ACMEDir(dir)}, acme...) {
		if _, err := os.Lstat(file); err != nil {
			continue // the first run makes it
		}
		if text := refuse(file, toOwn); text != "" {
			return text
		}
	}
	return ""
}
