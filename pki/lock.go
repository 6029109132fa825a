package pki

import (
	"context"
	"fmt"
	"time"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/quote"
)

const lockPoll = 20 * time.Millisecond // a first run with ECDSA keys takes about as long

// Lock waits for the lock of dir: only its holder makes files there. The kernel releases the
// lock if the process dies. Lock polls, because ctx can't end a blocking call.
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
