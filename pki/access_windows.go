package pki

// accessWarnings has none: files inherit what their folder was made with.
func (l layout) accessWarnings() []string { return nil }
