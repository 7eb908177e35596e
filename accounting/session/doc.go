// Package session joins accounting reports to sessions and makes usage
// records of them: Start, Interim and Stop of one session, several access
// points of one roaming session (Acct-Multi-Session-Id, RFC 3580 section 2.2),
// a NAS that starts again, counters that wrap, reports that come late, twice
// or never.
//
// It stands on the clearing side, behind the queue and the last ring of
// duplicates: package clearing calls Join with the reports of one batch and
// Close with the time, both within a transaction, and writes what they return.
//
// It decides and keeps nothing: all state is in the Sessions that the Book
// reads and the Changes give back. Rules are safe for concurrent use; a
// Changes belongs to the caller. Nothing is invented: no figure stands in a
// record that no report carried, but the two that it says itself were
// completed (a counter that wrapped, an end that was estimated).
//
// RFC 2866, 2869 sections 5.1 to 5.3, 3580 section 2.2, 5080 section 2.3.
package session
