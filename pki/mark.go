package pki

import (
	"fmt"
	"os"
	"path/filepath"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/date"
)

// A mark is a file outside the PKI's folder. It says that a PKI was there once. If the folder is
// empty nevertheless, its disk isn't mounted or somebody deleted it. A new CA would then shut
// out every client without a visible reason.

// Mark makes the marks of the PKI in dir, as many as it can. One is enough. Without any, Lost
// finds nothing.
func Mark(dir string, marks []string) {
	text := fmt.Sprintf("tlstunnel has made a CA in %q. As long as this file is here, it makes no other there by itself.\n", dir)
	for _, mark := range marks {
		if _, err := os.Stat(filepath.Dir(mark)); err == nil {
			_ = atomicfile.Create(mark, []byte(text), atomicfile.Public)
		}
	}
}

// Lost returns an error if a mark says that a PKI was in dir, and there is none now.
func Lost(dir string, marks []string) error {
	if !IsEmpty(dir) {
		return nil
	}
	for _, mark := range marks {
		if info, err := os.Lstat(mark); err == nil {
			return fmt.Errorf("the PKI that was in %q is gone (there since %s, says %q), and no other is made in its place by itself, as every client would need the new CA: mount its disk, or restore the folder from a backup, or let `tlstunnel init` make a new CA",
				dir, date.Day(info.ModTime()), mark)
		}
	}
	return nil
}
