package cli

import (
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestNoSecretInArguments: every user of a machine can see the command lines. So a password
// comes from a file. A flag may show a password, but never takes one.
func TestNoSecretInArguments(t *testing.T) {
	secret := regexp.MustCompile(`--(\S*(?:password|secret)\S*)( \S+)?`)
	found := 0
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		for _, flag := range secret.FindAllStringSubmatch(cmd.Flags().FlagUsages(), -1) {
			found++
			if name, takes := flag[1], flag[2]; takes != "" && !strings.HasSuffix(name, "-file") {
				t.Errorf("`%s --%s` takes a secret", cmd.CommandPath(), name)
			}
		}
		for _, c := range cmd.Commands() {
			look(c)
		}
	}
	look((&app{stdout: io.Discard, stderr: io.Discard}).rootCommand())
	if found < 2 {
		t.Error("found too few flags about passwords")
	}
}
