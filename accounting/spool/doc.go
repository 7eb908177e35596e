// Package spool is the durable log of accounting records: what must be on
// the disk before an Accounting-Response may leave (RFC 2866 section 2).
//
// In the packet walk a shard collects the records of one receive batch in a
// Batch and submits it; one committer goroutine takes all batches that wait,
// from all shards, writes them with one synced commit and hands each back
// through Done. Nobody waits for a timer: while one commit syncs, the next
// one gathers. The queue (package queue) reads behind the committer.
//
// Memory: a Batch belongs to its shard, to the spool between Submit and
// SpoolDone, then to its shard again. Records are copied on Add. Read lends
// its slices for the call.
//
// Concurrency: a Batch has one owner; every method of Spool is safe from any
// goroutine and none but Open, Close, Cut, Read and Pending waits for the
// disk.
//
// The log is a Pebble store in its newest format: older formats read a
// damaged live log as its end and lose acknowledged records without a word
// (damage_test.go holds the control). The newest one does too, near the end
// of the log; the witness (witness.go) tells. A failed write or sync is final: the
// state of the disk is then unknown, so nothing is acknowledged until the
// process has been started again and the log has been read. Only a full disk
// is no failure while there is a ballast to give up (disk.go).
//
// It does not know what a record says.
package spool
