package access

import "slices"

// aclEntry is an entry of a Windows access list that speaks of the object itself.
type aclEntry struct {
	allow bool
	mask  uint32
	sid   string
}

// granted says whether somebody with these SIDs has all the rights of want. Windows goes
// through the list until each right is decided by the first entry that speaks of it.
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
