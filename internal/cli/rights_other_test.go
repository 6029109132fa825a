//go:build !linux

package cli

import "errors"

func dropRights() error { return errors.New("only Linux knows how") }
