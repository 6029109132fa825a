// Package date writes dates for people: in messages, status and the commands. They are always in
// this machine's time zone, as in the log. The package parses no dates.
//
//	fmt.Errorf("the certificate expired on %s", date.Time(cert.NotAfter))
package date

import "time"

// Time returns t to the second, with the offset from UTC for readers in another time zone:
// 2026-11-23 08:40:00 +01:00.
func Time(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 -07:00") }

// Day returns the day of t, for places where the hour doesn't matter: 2026-11-23.
func Day(t time.Time) string { return t.Local().Format(time.DateOnly) }
