package pki

import "tlstunnel/internal/atomicfile"

// accessWarnings returns none: files inherit the access list of their folder.
func (l layout) accessWarnings() []string { return nil }

func keyAccess(string) atomicfile.Access { return atomicfile.Secret }
