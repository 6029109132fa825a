//go:build !windows

package cli

import "github.com/spf13/cobra"

// addServiceMode adds nothing: other service managers run the program like any user.
func (a *app) addServiceMode(*cobra.Command) {}
