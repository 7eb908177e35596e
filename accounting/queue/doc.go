// Package queue carries accounting records from the spool to whoever clears
// them: a Redis stream, or a function in this process.
//
// In the packet walk it is behind everything: by the time it sees a record
// the client has its answer. The spool is the truth and the queue only a way
// to the other side, so a queue that loses its tail costs a repetition and
// never a record. Stretches of the spool are cut into batches; a cut is
// durable before its batch is first sent, the batch's id is made of its
// first sequence number, and a queue that is behind our cursor after a
// reconnect is sent again from where it stands. Receivers that keep the
// highest `last` they stored, in the transaction that stores the records,
// see every record exactly once.
//
// By default stop, on, off and quarantined records are carried. Quarantined
// ones stand in a field of their own, so that a receiver which bills `data`
// cannot bill them by mistake.
//
// Memory: a Batch is the drainer's and lent to Sink.Publish for the call.
//
// Concurrency: one Drainer per spool, one Run; Stats may be read from
// anywhere.
//
// It does not join sessions, rate, or decide what is a duplicate.
package queue
