package access

import "testing"

func TestGranted(t *testing.T) {
	const read, write = 1, 2
	list := []aclEntry{
		{false, write, "users"},
		{true, read, "everyone"},
		{true, read | write, "service"},
		{false, read, "service"},
	}
	for _, tt := range []struct {
		sids []string
		want uint32
		ok   bool
	}{
		{[]string{"service"}, read, true}, // the first entry about a right decides
		{[]string{"service"}, read | write, true},
		{[]string{"service", "users"}, write, false},
		{[]string{"everyone"}, read, true},
		{[]string{"everyone"}, read | write, false},
		{[]string{"nobody"}, read, false},
		{nil, read, false},
	} {
		if got := granted(list, tt.sids, tt.want); got != tt.ok {
			t.Errorf("%v %d: got %v", tt.sids, tt.want, got)
		}
	}
	if granted(nil, []string{"service"}, read) {
		t.Error("an empty list grants access")
	}
}
