package pki

import (
	"context"
	"fmt"
	"time"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/quote"
)

const lockPoll = 20 * time.Millisecond // a first run with ECDSA keys takes about as long

// Lock waits until this process is the only one that makes files in dir. The
// kernel gives the lock back when a process dies. It is polled for, because a
// blocking call can't be ended by ctx.
func Lock(ctx context.Context, dir string) (unlock func(), err error) {
	path := LockFile(dir)
	f, err := atomicfile.OpenSecret(path)
	if err != nil {
		return nil, fmt.Errorf("opening the lock file %q: %w", path, quote.FileError(err))
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
			if err := mustBeFolder(dir); err != nil {
				f.Close()
				return nil, err
			}
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
