// Package accounting says what an Accounting-Request, of RADIUS or Diameter,
// means and keeps what it said as a record that outlives the configuration it
// was received under. The two are told apart by their first octet.
//
// In the packet walk it stands after the route and before the spool: the
// shard calls Classify on a bounds-checked packet, Hasher.Key and
// Hasher.Content name the event, Events.Claim tells a new event from a
// retransmitted one, AppendRecord makes the octets that package spool stores
// before anything is acknowledged (RFC 2866 section 2).
//
// Memory: an Event borrows from the packet it was classified from; a Record
// borrows from the octets it was decoded from; AppendRecord and AppendJSON
// append to the caller's slice. Nothing here keeps an argument.
//
// Concurrency: a Hasher belongs to one goroutine. Events may be used by all
// shards at once. Everything else is plain values.
//
// RFC 2866 (accounting), RFC 2869 sections 5.1-5.3 (gigawords, event time),
// RFC 4372 (Chargeable-User-Identity), RFC 5080 sections 2.3.1 and 2.5. RFC 6733
// section 9 and RFC 7155 (accounting of Diameter), RFC 8506 and 3GPP TS 32.299
// (Credit-Control, as evidence of what was used). When a
// record is shown: RFC 5580 (operator, location) with RFC 3825 and 4776, 3GPP
// TS 29.061 section 16.4.7, and the attributes of the WBA.
//
// It does not verify authenticators (pkg/radius), join records to sessions,
// rate, or write anything to a disk.
package accounting
