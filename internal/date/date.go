// Package date writes dates for people: in messages, status and the commands, always in
// the time of this machine, as in the log. It reads none.
//
//	fmt.Errorf("the certificate expired on %s", date.Time(cert.NotAfter))
package date

import "time"

// Time is t to the second, with the distance of this machine's time from UTC, so that a
// reader elsewhere knows it, too: 2026-11-23 08:40:00 +01:00.
func Time(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 -07:00") }

// Day is the day of t, where the hour doesn't matter: 2026-11-23.
func Day(t time.Time) string { return t.Local().Format(time.DateOnly) }
