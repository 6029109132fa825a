package chain

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every kind is in use, each has a code of its own, and every code in use has a kind.
func TestKinds(t *testing.T) {
	source := ""
	for _, file := range []string{"chain.go", "judge.go", "own.go", "usage.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source += string(text)
	}
	all := slices.Concat(Kinds, ownKinds)
	for _, k := range all {
		if !strings.Contains(source, `"`+k.Code+`"`) {
			t.Errorf("nothing says %s", k.Code)
		}
	}
	if len(kinds) != len(all) {
		t.Errorf("%d codes of %d kinds", len(kinds), len(all))
	}
	for _, code := range regexp.MustCompile(`(?:newFault\(|code :?= |code, more := )"(\w+)"`).FindAllStringSubmatch(source, -1) {
		if _, ok := kinds[code[1]]; !ok {
			t.Errorf("%s is no kind", code[1])
		}
	}
}
