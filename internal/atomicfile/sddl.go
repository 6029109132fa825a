package atomicfile

// kind is what an access list is for.
type kind int

const (
	file kind = iota
	folder
)

const systemSID = "S-1-5-18"

// ServiceSID is that of NT SERVICE\tlstunnel, which Windows makes from the
// service's name alone: S-1-5-80 and the name's SHA-1. The service must be able to
// read the keys that an administrator makes for it.
const ServiceSID = "S-1-5-80-2400726164-3471669723-1571552582-1764972433-2608205232"

// secretSDDL is the Windows access list of [Secret], in the security
// descriptor definition language: protected (P) from what the parent folder
// would hand down, full access (FA) for SYSTEM (SY), Administrators (BA), the
// service and the user with this SID. A folder hands it down to what is made in it (OICI).
// It is in no Windows-only file so that it is tested everywhere.
func secretSDDL(userSID string, k kind) string {
	inherit := ""
	if k == folder {
		inherit = "OICI"
	}
	sddl := "D:P" + allow(inherit, "SY") + allow(inherit, "BA") + allow(inherit, ServiceSID)
	if userSID != systemSID && userSID != ServiceSID {
		sddl += allow(inherit, userSID)
	}
	return sddl
}

func allow(inherit, who string) string {
	return "(A;" + inherit + ";FA;;;" + who + ")"
}
