package atomicfile

// kind is what an access list is for.
type kind int

const (
	file kind = iota
	folder
)

const systemSID = "S-1-5-18"

// secretSDDL is the Windows access list of [Secret], in the security
// descriptor definition language: protected (P) from what the parent folder
// would hand down, full access (FA) for SYSTEM (SY), Administrators (BA) and
// the user with this SID. A folder hands it down to what is made in it (OICI).
// It is in no Windows-only file so that it is tested everywhere.
func secretSDDL(userSID string, k kind) string {
	inherit := ""
	if k == folder {
		inherit = "OICI"
	}
	sddl := "D:P" + allow(inherit, "SY") + allow(inherit, "BA")
	if userSID != systemSID {
		sddl += allow(inherit, userSID)
	}
	return sddl
}

func allow(inherit, who string) string {
	return "(A;" + inherit + ";FA;;;" + who + ")"
}
