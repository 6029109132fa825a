package installer

import "testing"

func TestSDDL(t *testing.T) {
	const sid = "S-1-5-80-1-2-3-4-5"
	tests := []struct{ got, want string }{
		{folderSDDL(sid, mayRead), "O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;S-1-5-80-1-2-3-4-5)"},
		{folderSDDL(sid, mayModify), "O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;S-1-5-80-1-2-3-4-5)"},
		{fileSDDL(sid, mayModify), "O:BAG:BAD:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;0x1301bf;;;S-1-5-80-1-2-3-4-5)"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got  %s\nwant %s", tt.got, tt.want)
		}
	}
}

func TestSameAccess(t *testing.T) {
	want := folderSDDL("S-1-5-80-1", mayRead)
	for sddl, same := range map[string]bool{
		want: true,
		"O:SYG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;S-1-5-80-1)": true,
		"O:BAG:BAD:AI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;S-1-5-80-1)":  false, // inherits
		"O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)":                                 false,
		"O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;S-1-5-80-1)":   false,
		"O:BAG:BA": false,
		"":         false,
	} {
		if sameAccess(sddl, want) != same {
			t.Errorf("%q: want %v", sddl, same)
		}
	}
}
