package pki

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"tlstunnel/internal/atomicfile"
)

const (
	// lockName stays in the folder for good: to remove it while another
	// process waits for it would let two in.
	lockName = ".lock"

	lockPoll = 20 * time.Millisecond // a first run with ECDSA keys takes about as long
)

// lock waits until this process is the only one that makes files in dir. The
// kernel gives the lock back when a process dies. It is polled for, because a
// blocking call can't be ended by ctx.
func lock(ctx context.Context, dir string) (unlock func(), err error) {
	path := filepath.Join(dir, lockName)
	f, err := atomicfile.OpenSecret(path)
	if err != nil {
		return nil, fmt.Errorf("opening the lock file %q: %w", path, plain(err))
	}
	atomicfile.TestOnlyStep("lock file opened")

	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		locked, err := tryLock(f)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("locking %q: %w", path, err)
		}
		if locked {
			atomicfile.TestOnlyStep("locked")
			return func() { f.Close() }, nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("waiting for another tlstunnel that holds %q: %w", path, ctx.Err())
		}
	}
}
