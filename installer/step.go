// Package installer is what `tlstunnel install` and `uninstall` do to a machine: a list of named
// steps, which differ from system to system. A step is done only if it is needed. If a later step
// fails, it is undone.
//
// It doesn't run the service; package service does.
package installer

import (
	"errors"
	"fmt"
)

// Step is one thing that an installation does to the machine.
type Step struct {
	// Name says what is there after the step: `account "tlstunnel"`.
	Name string

	// Done reports whether there is nothing to do. If it is nil, there is always something to do.
	Done func() (bool, error)

	// Check returns the reason why Do must not run, and changes nothing. A dry run asks it
	// too. A step without Do only checks: it verifies that the steps before it have made true
	// what Name says, so a dry run doesn't ask it.
	Check func() error

	// Do makes true what Name says. Undo takes back what Do did, and nothing else. It is nil if
	// there is nothing to take back.
	Do, Undo func() error

	// Extra means that the installation is complete without this step. Its failure is only a
	// warning.
	Extra bool
}

// State is what became of a step.
type State string

// The states of a step.
const (
	Planned State = "would do" // in a dry run
	Present State = "present"  // it was there already
	Done    State = "done"
	Warning State = "warning" // an extra step failed, or its check did
	Failed  State = "failed"
	Undone  State = "undone" // since a later one failed
)

// Apply does the steps in their order. If a step fails, it undoes the steps that it did, the last
// first, and returns the error. With dryRun it changes nothing. It reports each step as soon as
// the state of the step is known, with the error if there is one.
func Apply(steps []Step, dryRun bool, report func(step string, state State, err error)) error {
	var done []Step
	for _, s := range steps {
		state, err := s.apply(dryRun)
		report(s.Name, state, err)
		switch state {
		case Done:
			done = append(done, s)
		case Failed:
			return errors.Join(fmt.Errorf("%s: %w", s.Name, err), undo(done, report))
		}
	}
	return nil
}

func (s Step) apply(dryRun bool) (State, error) {
	if s.Done != nil {
		present, err := s.Done()
		if err != nil {
			return s.failure(), err
		}
		if present {
			return Present, nil
		}
	}
	if dryRun && s.Do == nil {
		return Planned, nil
	}
	if s.Check != nil {
		if err := s.Check(); err != nil {
			return s.failure(), err
		}
	}
	if dryRun {
		return Planned, nil
	}
	if s.Do != nil {
		if err := s.Do(); err != nil {
			return s.failure(), err
		}
	}
	return Done, nil
}

func (s Step) failure() State {
	if s.Extra {
		return Warning
	}
	return Failed
}

// undo takes back the steps, the last first. If it can't take back a step, it goes on with the
// others.
func undo(done []Step, report func(string, State, error)) error {
	var failed error
	for i := len(done) - 1; i >= 0; i-- {
		s := done[i]
		if s.Undo == nil {
			continue
		}
		if err := s.Undo(); err != nil {
			report(s.Name, Failed, err)
			failed = errors.Join(failed, fmt.Errorf("undoing %s: %w", s.Name, err))
			continue
		}
		report(s.Name, Undone, nil)
	}
	return failed
}
