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
// A session is what its newest reports say in the order they were made,
// whatever order they came in; sixteen are kept, older ones are a sum. With
// each report it is reckoned again. A record is the difference to what was
// recorded before, so late reports, a late Stop and a Stop after another one
// are corrections by one rule, and the sums of a session do not depend on the
// order of arrival. Where reports contradict each other the larger figure
// stands, the record says so, and the report is a Conflict.
//
// Sessions of one ID differ in their start, or in that one had ended when the
// other began; one whose two starts overlap is one session whose clock was
// set. A month (UTC) ends with the last report in it. A session that was
// closed for silence opens again when it is heard of; what it used meanwhile
// is recorded when it ends. Late interim reports of one that was closed
// otherwise are gathered and corrected by the next Close.
//
// It decides and keeps nothing: all state is in the Sessions that the Book
// reads and the Changes give back. Rules are safe for concurrent use; a
// Changes belongs to the caller. Nothing is invented: no figure stands in a
// record that no report carried, but the two that it says itself were
// completed (a counter that wrapped, an end that was estimated).
//
// A session of Diameter is its Session-Id: its reports are in the order of their record
// numbers, a number that did not come is said, and what Credit-Control says was used since
// the report before is added up.
//
// RFC 2866, 2869 sections 5.1 to 5.3, 3580 section 2.2, 5080 section 2.3, 6733 section 9,
// 8506 section 8.19.
package session
