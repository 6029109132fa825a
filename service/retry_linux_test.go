package service

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// insideVariable makes this test program run in a network of its own.
const insideVariable = "TLSTUNNEL_TEST_NETWORK"

// TestLateAddress: an address comes after the start. Its tunnel uses it soon, and the other
// tunnel serves from the first second.
func TestLateAddress(t *testing.T) {
	if os.Getenv(insideVariable) == "" {
		runInside(t)
		return
	}
	const late = "10.99.0.1"
	setAddress(t, "lo", "127.0.0.1")
	target := greeter(t, "one")
	s := startService(t, serverTunnel("local", "127.0.0.1:2761", target, "")+serverTunnel("pacs", late+":2762", target, ""))
	s.supervised()
	speak(s.dial("local", s.tlsConfig())).expect(t, "one")
	st := s.Status()
	if st.Verdict != Degraded || !strings.Contains(st.Problems[0], `tunnel "pacs" is left out`) || !strings.Contains(st.Problems[0], "this machine has no such address") {
		t.Errorf("got %+v", st.Health)
	}
	setAddress(t, "lo:1", late)
	s.log.Await(t, `msg="`+msgListensAgain+`" tunnel=pacs`)
	speak(s.dial("pacs", s.tlsConfig())).expect(t, "one")
	if st := s.Status(); st.Verdict != OK || st.Tunnels[1].Listen != late+":2762" {
		t.Errorf("got %+v", st)
	}
}

// runInside runs the test once more, in a network namespace without any address.
// That takes root, or a system that lets users have namespaces of their own.
func runInside(t *testing.T) {
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Skipf("this system gives no network namespace: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// setAddress gives an interface an address and sets it up.
func setAddress(t *testing.T, name, address string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	check(t, err)
	check(t, request.SetInet4Addr(net.ParseIP(address).To4()))
	check(t, unix.IoctlIfreq(fd, unix.SIOCSIFADDR, request))
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	check(t, unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request))
}
