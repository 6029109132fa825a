//go:build linux

package interop

import (
	"os"
	"testing"

	"tlstunnel/internal/cli"
)

// asTlstunnel in the environment makes the test binary the program under test.
const asTlstunnel = "TLSTUNNEL_INTEROP_RUN"

func TestMain(m *testing.M) {
	if os.Getenv(asTlstunnel) != "" {
		os.Exit(cli.Main(os.Args[1:], nil, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}
