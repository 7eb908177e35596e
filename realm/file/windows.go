package file

import (
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a zone must not depend on what the host has installed

	"github.com/roamgate/roamgate/realm"
)

const maxWindows = 64 // of one list

// windows compiles a list of times.
func (l *loader) windows(entries []windowEntry) (list []realm.Window) {
	if len(entries) > maxWindows {
		l.fail(entries[maxWindows].Pos, "", "there are more than %d times in one list", maxWindows)
		return nil
	}
	for i := range entries {
		if e := &entries[i]; e.Pos.Line > 0 {
			list = append(list, l.window(e))
		}
	}
	return list
}

func (l *loader) window(e *windowEntry) (w realm.Window) {
	file := e.Pos.File
	if e.Zone.set() {
		w.Zone = l.zone(e)
	}
	for _, d := range e.Days {
		days, ok := daysOf(d.v)
		if !ok {
			l.fail(d.pos(file), "mon tue wed thu fri sat sun, or mon-fri", "%s is no day", quote(d.v))
		}
		w.Days |= days
	}
	w.From = l.timeOfDay(e, "from", e.From, 0)
	w.To = l.timeOfDay(e, "to", e.To, 24*time.Hour)
	w.Begin = l.moment(e, "begin", e.Begin, w.Zone)
	w.End = l.moment(e, "end", e.End, w.Zone)
	switch {
	case len(e.Days) == 0 && !e.From.set() && !e.To.set() && !e.Begin.set() && !e.End.set():
		l.fail(e.Pos, "days, from and to, or begin and end", "the time says nothing")
	case w.From == w.To:
		l.fail(e.From.pos(file), "leave both out for the whole day", "the time is empty: from and to are the same")
	case !w.Begin.IsZero() && !w.End.IsZero() && !w.Begin.Before(w.End):
		l.fail(e.End.pos(file), "", "the time is empty: it ends before it begins")
	case never(&w):
		l.fail(e.Pos, "", "the time is empty: none of its days lies between begin and end")
	case !w.End.IsZero() && w.End.Before(l.now()):
		l.warn(e.End.pos(file), "remove it", "the time is over")
	}
	if w.From == 0 && w.To == 24*time.Hour {
		w.To = 0 // the whole day
	}
	return w
}

// never reports whether no moment between begin and end is in the window. Only
// a short interval can miss all days.
func never(w *realm.Window) bool {
	if w.Begin.IsZero() || w.End.IsZero() || w.End.Sub(w.Begin) > 15*24*time.Hour {
		return false
	}
	zone := w.Zone
	if zone == nil {
		zone = time.UTC
	}
	if w.Holds(w.Begin.Unix()) {
		return false
	}
	// It opens with an hour, at from or at midnight, and clocks may be set.
	y, m, d := w.Begin.In(zone).Date()
	for day := time.Date(y, m, d, 0, 0, 0, 0, zone); day.Before(w.End); day = day.AddDate(0, 0, 1) {
		for _, at := range []time.Duration{0, w.From} {
			begin := day.Add(at)
			if begin.Before(w.End) && w.Holds(begin.Unix()) {
				return false
			}
			y, m, d := day.Date()
			begin = time.Date(y, m, d, 0, int(at/time.Minute), 0, 0, zone)
			if begin.Before(w.End) && w.Holds(begin.Unix()) {
				return false
			}
		}
	}
	return true
}

func (l *loader) zone(e *windowEntry) *time.Location {
	name := e.Zone.v
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		l.fail(e.Zone.pos(e.Pos.File), "such as Europe/Berlin or UTC", "there is no time zone %s", quote(name))
		return nil
	}
	if zone == time.UTC {
		return nil
	}
	return zone
}

var dayNames = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// daysOf reads a day or a range of days.
func daysOf(s string) (days uint8, ok bool) {
	first, last, isRange := strings.Cut(foldASCII(s), "-")
	from, ok := dayOf(first)
	if !ok || !isRange {
		return 1 << from, ok
	}
	to, ok := dayOf(last)
	for d := from; ok; d = (d + 1) % 7 {
		days |= 1 << d
		if d == to {
			break
		}
	}
	return days, ok
}

func dayOf(s string) (int, bool) {
	for d, name := range dayNames {
		if s == name || s == foldASCII(time.Weekday(d).String()) {
			return d, true
		}
	}
	return 0, false
}

// timeOfDay reads 08:00 or 24:00.
func (l *loader) timeOfDay(e *windowEntry, key string, at at[string], otherwise time.Duration) time.Duration {
	if !at.set() {
		return otherwise
	}
	hour, minute, ok := strings.Cut(at.v, ":")
	h, err1 := strconv.ParseUint(hour, 10, 8)
	m, err2 := strconv.ParseUint(minute, 10, 8)
	if !ok || err1 != nil || err2 != nil || len(minute) != 2 || len(hour) > 2 || h > 24 || m > 59 || h == 24 && m > 0 || h == 24 && key == "from" {
		l.fail(at.pos(e.Pos.File), `write it as 08:00 or 22:30`, "%s: %s is no time of day", key, quote(at.v))
		return otherwise
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
}

// moment reads a date, or a date and a time, in the zone unless it has one of
// its own.
func (l *loader) moment(e *windowEntry, key string, at at[string], zone *time.Location) time.Time {
	if !at.set() {
		return time.Time{}
	}
	if zone == nil {
		zone = time.UTC
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, at.v, zone); err == nil {
			return t
		}
	}
	l.fail(at.pos(e.Pos.File), "write it as 2026-11-30, 2026-11-30 22:00 or 2026-11-30T22:00:00+01:00", "%s: %s is no date", key, quote(at.v))
	return time.Time{}
}
