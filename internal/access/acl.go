package access

import "slices"

// aclEntry is an entry of a Windows access list that applies to the object itself.
type aclEntry struct {
	allow bool
	mask  uint32
	sid   string
}

// granted reports whether an account with these SIDs has all the rights of want. As in Windows,
// the first entry that names a right decides it.
func granted(list []aclEntry, sids []string, want uint32) bool {
	for _, e := range list {
		if !slices.Contains(sids, e.sid) || e.mask&want == 0 {
			continue
		}
		if !e.allow {
			return false
		}
		want &^= e.mask
	}
	return want == 0
}
