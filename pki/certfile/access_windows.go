package certfile

// AccessWarning never warns: on Windows the folder's access list decides who may read a
// file, and no mode shows it.
func AccessWarning(string, string) string { return "" }
