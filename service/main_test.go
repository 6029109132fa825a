package service

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// TestMain keeps the tests away from the folders of an installed service, and from those of
// the user.
func TestMain(m *testing.M) {
	time.Local = time.UTC // messages have local time
	dir, err := os.MkdirTemp("", "tlstunnel-service-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, name := range []string{"XDG_STATE_HOME", "STATE_DIRECTORY", "LOGS_DIRECTORY"} {
		os.Setenv(name, dir)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}
