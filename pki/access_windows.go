package pki

import "tlstunnel/internal/atomicfile"

// accessWarnings has none: files inherit what their folder was made with.
func (l layout) accessWarnings() []string { return nil }

// AccessWarning has nothing to say: who may read a file is for its folder to say, and
// not to be told from a mode.
func AccessWarning(string, string) string { return "" }

func keyAccess(string) atomicfile.Access { return atomicfile.Secret }
