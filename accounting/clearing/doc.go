// Package clearing is the clearing store: it takes the batches of hubs, each
// with the effect of one call however often it comes, finds what was reported
// twice (the last of the three rings of duplicates), joins reports to
// sessions and keeps the usage records.
//
// It stands behind the queue (queue.Consumer calls Take), or inside the hub
// where there is no queue. Everything that one batch changes is one
// transaction: which stretch of which spool was taken, record keys, sessions,
// usage records, sums, dead letters. Backends: an embedded store in a
// directory, PostgreSQL.
//
// Memory: what Take is given is borrowed for the call. A Store is safe for
// concurrent use; two processes may use one PostgreSQL, one a directory.
// It does not rate, and it has no RFC of its own: RFC 2866 and 5080 section
// 2.3 say what a duplicate is.
package clearing
