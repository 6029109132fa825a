package certfile

// AccessWarning has nothing to say: who may read a file is for its folder to say, and
// not to be told from a mode.
func AccessWarning(string, string) string { return "" }
