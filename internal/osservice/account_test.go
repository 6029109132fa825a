package osservice

import (
	"testing"

	"tlstunnel/internal/atomicfile"
)

// TestServiceSID: TrustedInstaller has this SID on every Windows.
func TestServiceSID(t *testing.T) {
	const want = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
	if got := serviceSID("TrustedInstaller"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if serviceSID("tlstunnel") != AccountSID() || serviceSID("TLSTUNNEL") != AccountSID() {
		t.Error("the SID depends on the case")
	}
}

// TestAccountSIDOfSecrets: secret files grant access to this account.
func TestAccountSIDOfSecrets(t *testing.T) {
	if got := AccountSID(); got != atomicfile.ServiceSID {
		t.Errorf("got %s, but package atomicfile has %s", got, atomicfile.ServiceSID)
	}
}
