// Package clearing is the clearing store: it takes the batches of hubs, each
// with the effect of one call however often it comes, finds what was reported
// twice (the last of the three rings of duplicates), joins reports to
// sessions and keeps the usage records.
//
// It stands behind the queue (queue.Consumer calls Take), or inside the hub
// where there is no queue. Everything that one batch changes is one
// transaction: which stretch of which spool was taken, event keys, sessions,
// usage records, sums, dead letters. A consumer may die at any point.
//
// Stretches may come in any order. The watermark of a spool is the end of
// what was taken without a gap from its lowest record on; while its first
// record was never seen it is held back (Options.Settle), as that may be
// under way with another consumer. A stretch that contradicts what was taken
// is refused with a ConflictError and kept. What is no batch is kept as a
// dead letter and confirmed: its gap stays visible in Stats until Retry, or
// the hub, fills it. A line that cannot be read is kept by itself, counts as
// Rejected, and does not hold up the rest.
//
// Sweep closes the sessions whose Stop is missing, by the time of the reports
// (Now), and forgets what was last heard of more than Options.Keep ago:
// closed sessions, the keys that find duplicates, usage records, of stretches
// everything but that they were taken. Export records before. Open sessions,
// sums and dead letters are never forgotten. A directory is read for old
// things 16 times in Keep, and not while nothing in it is that old: but
// for its records, things may be kept for a sixteenth longer.
//
// Backends: a directory (Pebble, one process, every commit synced) and
// PostgreSQL (any number of processes; its writers take turns). A store that
// could not write to its directory stays failed until it is opened again
// (ErrFailed).
//
// Memory: what Take is given is borrowed for the call; what reading returns
// is the caller's. A Store is safe for concurrent use. It logs no identities.
//
// It does not rate, and it has no RFC of its own: RFC 2866 and 5080 section
// 2.3 say what a duplicate is.
package clearing
