package installer

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestApply(t *testing.T) {
	broken := errors.New("broken")
	var log []string
	step := func(name string, present bool, do, undo error) Step {
		return Step{
			Name: name,
			Done: func() (bool, error) { return present, nil },
			Do:   func() error { log = append(log, "do "+name); return do },
			Undo: func() error { log = append(log, "undo "+name); return undo },
		}
	}
	extra := step("x", false, broken, nil)
	extra.Extra = true
	unsure := step("u", false, nil, nil)
	unsure.Done = func() (bool, error) { return false, broken }
	look := step("look", false, nil, nil)
	look.Do, look.Undo, look.Check = nil, nil, func() error { log = append(log, "check look"); return nil }
	refused := step("r", false, nil, nil)
	refused.Check = func() error { return broken }
	kept := refused
	kept.Extra = true
	a, b, c := step("a", false, nil, nil), step("b", true, nil, nil), step("c", false, nil, broken)
	bad := step("bad", false, broken, nil)

	tests := []struct {
		name   string
		steps  []Step
		dryRun bool
		want   []string
		err    string
	}{
		{"all is done once", []Step{a, b, c}, false,
			[]string{"do a", "a done", "b present", "do c", "c done"}, ""},
		{"a dry run does nothing", []Step{a, b, c}, true,
			[]string{"a would do", "b present", "c would do"}, ""},
		{"an extra that fails is a warning", []Step{extra, a}, false,
			[]string{"do x", "x warning", "do a", "a done"}, ""},
		{"a check that fails comes before anything is done", []Step{kept, a}, false,
			[]string{"r warning", "do a", "a done"}, ""},
		{"in a dry run too", []Step{refused, a}, true,
			[]string{"r failed"}, "r: broken"},
		{"a step may be a check alone", []Step{a, look}, false,
			[]string{"do a", "a done", "check look", "look done"}, ""},
		{"which a dry run leaves out", []Step{a, look}, true,
			[]string{"a would do", "look would do"}, ""},
		{"a failure undoes what was done", []Step{a, b, bad, c}, false,
			[]string{"do a", "a done", "b present", "do bad", "bad failed", "undo a", "a undone"}, "bad: broken"},
		{"undoing goes on after a failure", []Step{a, c, unsure}, false,
			[]string{"do a", "a done", "do c", "c done", "u failed", "undo c", "c failed", "undo a", "a undone"}, "u: broken\nundoing c: broken"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log = nil
			err := Apply(tt.steps, tt.dryRun, func(step string, state State, _ error) {
				log = append(log, fmt.Sprintf("%s %s", step, state))
			})
			if !slices.Equal(log, tt.want) {
				t.Errorf("got  %q\nwant %q", log, tt.want)
			}
			if got := fmt.Sprint(err); err != nil && got != tt.err || err == nil && tt.err != "" {
				t.Errorf("error %q, want %q", got, tt.err)
			}
		})
	}
}
