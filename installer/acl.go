package installer

import "strings"

// The rights of the service's account, as masks of a Windows access list.
const (
	mayRead   = "0x1200a9" // FILE_GENERIC_READ and FILE_GENERIC_EXECUTE
	mayModify = "0x1301bf" // FILE_GENERIC_WRITE and DELETE as well, but not changing the access list
)

// folderSDDL is the security descriptor of a folder. The folder belongs to the administrators.
// They and SYSTEM have all rights, the account with this SID has the rights in account, and nobody
// else has any. The folder inherits nothing from its parent (P). New files and folders in it
// inherit the same rights (OICI).
func folderSDDL(sid, account string) string { return privateSDDL("OICI", sid, account) }

// fileSDDL is the same for a file.
func fileSDDL(sid, account string) string { return privateSDDL("", sid, account) }

func privateSDDL(inherit, sid, account string) string {
	allow := func(rights, who string) string { return "(A;" + inherit + ";" + rights + ";;;" + who + ")" }
	return "O:BAG:BAD:P" + allow("FA", "SY") + allow("FA", "BA") + allow(account, sid)
}

// sameAccess reports whether two security descriptors give the same rights to the same accounts. It
// ignores the flags before the list, since Windows returns others than were set.
func sameAccess(a, b string) bool {
	entries := func(sddl string) string {
		_, list, _ := strings.Cut(sddl, "(")
		return list
	}
	protected := func(sddl string) bool {
		_, list, _ := strings.Cut(sddl, "D:")
		flags, _, _ := strings.Cut(list, "(")
		return strings.Contains(flags, "P")
	}
	return entries(a) == entries(b) && protected(a) == protected(b)
}
