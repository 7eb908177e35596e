// Package queue carries accounting records from the spool to whoever clears
// them: a Redis stream, or a store in this process. It has both ends: the
// Drainer and its Sinks run in the hub, the Consumer and its Sources where
// the clearing store is.
//
// In the packet walk it is behind everything: by the time it sees a record
// the client has its answer. The spool is the truth and the queue only a way
// to the other side, so a queue that loses its tail costs a repetition and
// never a record. Stretches of the spool are cut into batches; a cut is
// durable before its batch is first sent, the batch's id is made of its
// first sequence number, and a queue that is behind our cursor after a
// reconnect, or lacks what nobody has stored, is sent again from where it
// stands. Receivers that keep what they took in the transaction that stores
// the records see every record exactly once.
//
// All kinds of records are carried, so the batches of one spool follow each
// other without gaps. Quarantined ones stand in a field of their own: a
// receiver which bills `data` cannot bill them by mistake.
//
// There is one stream for each spool, and one spool for each hub: one packed
// stream carries more records a second than a hub can make, and shards would
// only lose the order.
//
// What a consumer reads anybody can have written. It is bounded and checked
// (Delivery.Err), and goes to the store as what it is, never to the bills.
//
// Memory: a Batch is the drainer's and lent to Sink.Publish for the call. A
// Delivery is its consumer's and lent to Taker.Take.
//
// Concurrency: one Drainer per spool, one Run; a Source belongs to one
// Consumer, one Run; Stats may be read from anywhere. Any number of consumers
// share a queue.
//
// It does not join sessions, rate, or decide what is a duplicate.
package queue
