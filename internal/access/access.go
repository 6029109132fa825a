// Package access knows what the account of the installed service may do with the files
// that a config names, and which command lets it: by the kernel's word and the unit's
// settings on Linux, by access lists on Windows. It changes nothing.
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

// Check is [compile.Check] with the eyes of the installed service, if that runs cfg:
// an administrator can read what the service's account can't, and sees what its unit
// hides from it. It finds what the account can't read or write, and says how to let it.
func Check(cfg *config.Config, now time.Time) config.Problems {
	problems, refused := compile.Check(cfg, now), Problems(cfg)
	// That a file which the service doesn't see isn't there would be said twice.
	problems = slices.DeleteFunc(problems, func(p config.Problem) bool {
		return !p.Warning && slices.ContainsFunc(refused, func(r config.Problem) bool {
			return !r.Warning && r.Line == p.Line && r.Col == p.Col
		})
	})
	problems = append(problems, refused...)
	problems.Sort()
	return problems
}

// Problems is what Check finds and [compile.Check] doesn't: what the account of the
// installed service can't read or write, if that runs cfg.
func Problems(cfg *config.Config) config.Problems {
	return problemsOf(cfg, installedAccess(cfg.File))
}

// use is what somebody wants of a file or a folder.
type use string

const (
	toRead  use = "read"
	toWrite use = "write" // it, or in the folder; what isn't there, to make
	toOwn   use = "use"   // what is the program's own: toWrite a folder, toRead a file
)

// refuser says what keeps the service from a use of path, and how to let it; "" if
// nothing does. A file to be read that isn't there keeps itself from nothing.
type refuser func(path string, u use) string

// problemsOf is what cfg names, or the program uses, and refuse keeps the service
// from. A nil refuse keeps it from nothing.
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

// existing is path, or the first folder above it that is there.
func existing(path string) string {
	for path != filepath.Dir(path) {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		path = filepath.Dir(path)
	}
	return path
}

// writePlace is what must be written for the log: the file, or the folder if it isn't
// there yet. The rotation needs the folder, too, but goes on in the old file without.
func writePlace(file string) string {
	if _, err := os.Lstat(file); err == nil {
		return file
	}
	return filepath.Dir(file)
}

// pkiRefusal is the first thing in the PKI's folder that the service can't use. All of it
// has one remedy.
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
			continue // to be made
		}
		if text := refuse(file, toOwn); text != "" {
			return text
		}
	}
	return ""
}
