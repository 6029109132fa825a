//go:build unix

package logging

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// isJournal reports whether w is a stream to the journal of systemd: see
// JOURNAL_STREAM in systemd.exec(5).
func isJournal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	st := info.Sys().(*syscall.Stat_t)
	return os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
