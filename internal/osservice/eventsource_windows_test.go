package osservice

import (
	"testing"

	"golang.org/x/sys/windows/registry"
)

// TestEventSource: the registry has under HKLM what Windows needs to show our events. The
// test needs an administrator, and leaves the registry as it was.
func TestEventSource(t *testing.T) {
	if err := checkRights(); err != nil {
		t.Skip(err)
	}
	if registered, err := EventSourceRegistered(); err != nil || registered {
		t.Skip("this machine has the source: ", err)
	}
	if err := RegisterEventSource(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		for range 2 { // a missing source is no error
			if err := UnregisterEventSource(); err != nil {
				t.Error(err)
			}
		}
	}()
	if registered, err := EventSourceRegistered(); err != nil || !registered {
		t.Errorf("registered: %v, %v", registered, err)
	}
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, eventKey, registry.QUERY_VALUE)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if file, _, err := k.GetStringValue("EventMessageFile"); file != `%SystemRoot%\System32\EventCreate.exe` || err != nil {
		t.Errorf("EventMessageFile %q, %v", file, err)
	}
	if types, _, err := k.GetIntegerValue("TypesSupported"); types != 7 || err != nil {
		t.Errorf("TypesSupported %d, %v", types, err)
	}
}
