//go:build windows

// Wine-scm asks the Windows service control manager about the service, in the tests under
// wine. wine's own tools can't do that.
//
//	wine-scm state           prints the state and the two exit codes
//	wine-scm control CODE    sends a control code
//	wine-scm stop            stops the service and prints each state and
//	                         checkpoint until it has stopped
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

// stopLimit is how long a stop may take.
const stopLimit = 30 * time.Second

func main() {
	log.SetFlags(0)
	log.SetPrefix("wine-scm: ")
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(args []string) error {
	m, err := mgr.Connect()
	if err != nil {
		return err
	}
	defer m.Disconnect()
	s, err := m.OpenService("tlstunnel")
	if err != nil {
		return err
	}
	defer s.Close()
	switch {
	case len(args) == 1 && args[0] == "state":
		status, err := s.Query()
		fmt.Println(text(status), status.Win32ExitCode, status.ServiceSpecificExitCode)
		return err
	case len(args) == 2 && args[0] == "control":
		code, err := strconv.ParseUint(args[1], 10, 8)
		if err != nil {
			return err
		}
		_, err = s.Control(svc.Cmd(code))
		return err
	case len(args) == 1 && args[0] == "stop":
		return stop(s)
	}
	return fmt.Errorf("wrong usage: %q", args)
}

func stop(s *mgr.Service) error {
	began := time.Now()
	if _, err := s.Control(svc.Stop); err != nil {
		return err
	}
	var shown windows.SERVICE_STATUS_PROCESS
	for {
		status, err := query(s)
		switch {
		case err != nil:
			return err
		case status.CurrentState == windows.SERVICE_STOPPED:
			fmt.Println("STOPPED", time.Since(began).Milliseconds(), "ms")
			return nil
		case time.Since(began) > stopLimit:
			return fmt.Errorf("after %s it hasn't stopped", stopLimit)
		case status.CurrentState == windows.SERVICE_STOP_PENDING && status.CheckPoint != shown.CheckPoint:
			fmt.Println("STOP_PENDING", status.CheckPoint, status.WaitHint)
			shown = status
		}
		time.Sleep(time.Millisecond)
	}
}

// query is s.Query, but also returns the checkpoint and the wait hint.
func query(s *mgr.Service) (status windows.SERVICE_STATUS_PROCESS, err error) {
	var needed uint32
	err = windows.QueryServiceStatusEx(s.Handle, windows.SC_STATUS_PROCESS_INFO,
		(*byte)(unsafe.Pointer(&status)), uint32(unsafe.Sizeof(status)), &needed)
	return status, err
}

func text(s svc.Status) string {
	switch s.State {
	case svc.Stopped:
		return "STOPPED"
	case svc.StartPending:
		return "START_PENDING"
	case svc.StopPending:
		return "STOP_PENDING"
	case svc.Running:
		return "RUNNING"
	default:
		return strconv.Itoa(int(s.State))
	}
}
