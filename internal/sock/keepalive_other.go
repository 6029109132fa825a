//go:build !linux && !windows

package sock

import "time"

// askOften does nothing: the system's own times are in force.
func (*Conn) askOften(time.Duration) {}
