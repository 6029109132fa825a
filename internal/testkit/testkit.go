// Package testkit is what the tests of several packages share: a CA, an echo service, a leak check, a free
// port, log capture, and what waits, reads, writes and runs. It is for tests alone: layout_test.go lets no
// other file import it. It imports no package of the program, so that the tests inside of each can use it.
//
//	testkit.LeakCheck(t)
//	ca := testkit.NewCA("Clinic CA")
//	server := &tls.Config{Certificates: []tls.Certificate{ca.Issue("pacs.clinic.example").TLS()}}
//	address := testkit.Serve(t, tls.NewListener(testkit.Listen(t), server), testkit.Echo)
//
//	log := new(testkit.Log)
//	start(slog.New(slog.NewTextHandler(log, nil)))
//	log.Await(t, "msg=listening")
package testkit

import (
	"errors"
	"testing"
)

// Check ends the test if there is an error.
func Check(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
