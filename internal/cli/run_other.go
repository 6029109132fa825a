//go:build !windows

package cli

import "github.com/spf13/cobra"

// addServiceMode adds nothing: other service managers start the program as a user does.
func (a *app) addServiceMode(*cobra.Command) {}
