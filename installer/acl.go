package installer

import "strings"

// The rights of the service's account, as masks of a Windows access list.
const (
	mayRead   = "0x1200a9" // FILE_GENERIC_READ and FILE_GENERIC_EXECUTE
	mayModify = "0x1301bf" // and FILE_GENERIC_WRITE and DELETE; not change the access list
)

// folderSDDL is the security descriptor of a folder: it belongs to the
// administrators, and nobody but SYSTEM, they, and the account with this SID may
// do anything in it. Protected (P) from what the parent folder would hand down,
// it hands the same down to what is made in it (OICI).
func folderSDDL(sid, account string) string { return privateSDDL("OICI", sid, account) }

// fileSDDL is the same for a file.
func fileSDDL(sid, account string) string { return privateSDDL("", sid, account) }

func privateSDDL(inherit, sid, account string) string {
	allow := func(rights, who string) string { return "(A;" + inherit + ";" + rights + ";;;" + who + ")" }
	return "O:BAG:BAD:P" + allow("FA", "SY") + allow("FA", "BA") + allow(account, sid)
}

// sameAccess reports whether two security descriptors give the same rights to
// the same accounts. Windows writes the flags before the list in its own way.
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
