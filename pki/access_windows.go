package pki

import "tlstunnel/internal/atomicfile"

// accessWarnings has none: files inherit what their folder was made with.
func (l layout) accessWarnings() []string { return nil }

func keyAccess(string) atomicfile.Access { return atomicfile.Secret }
