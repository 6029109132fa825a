package tunnel

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// The process really has no file descriptor left for an accepted connection.
func TestAcceptWithoutFileDescriptors(t *testing.T) {
	leakCheck(t)
	target, l := listen(t), listen(t)
	peers := []*end{mustDial(t, l.Addr().String()), mustDial(t, l.Addr().String())}

	var limit syscall.Rlimit
	check(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	free, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	check(t, err)
	syscall.Close(free)
	none := limit
	none.Cur = uint64(free)
	check(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none))
	restore := func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) }
	defer restore()

	r := startOn(t, l, toTargets(target.Addr().String()))
	rec := r.logs.next(t, 0)
	if rec.message != "accept failed" || !strings.Contains(rec.text("err"), "too many open files") {
		t.Error(rec)
	}
	restore()

	for range peers {
		accepted, err := target.Accept()
		check(t, err)
		back := newEnd(accepted)
		defer back.tcp.Close()
		check(t, send(back, 10))
	}
	for _, peer := range peers {
		check(t, receive(peer, 10))
	}
}
