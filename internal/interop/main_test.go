//go:build linux

package interop

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"tlstunnel/internal/cli"
)

// If the environment has asTlstunnel, the test binary is the program under test.
const asTlstunnel = "TLSTUNNEL_INTEROP_RUN"

func TestMain(m *testing.M) {
	if os.Getenv(asTlstunnel) != "" {
		os.Exit(cli.Main(os.Args[1:], nil, os.Stdout, os.Stderr))
	}
	if text := os.Getenv(asOrder); text != "" {
		os.Exit(order(text))
	}
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test.") {
		// A test has forgotten asTlstunnel. This process would run all tests again, that one
		// too.
		fmt.Fprintf(os.Stderr, "%s isn't set: %q\n", asTlstunnel, os.Args)
		os.Exit(2)
	}
	os.Exit(m.Run())
}
