//go:build !windows

package cli

import "github.com/spf13/cobra"

// addServiceMode adds nothing: other service managers run the program as anybody
// would.
func (a *app) addServiceMode(*cobra.Command) {}
