// Package usage holds what the clearing side reads and writes: Report, what a
// hub says of one accounting packet, and Record, what a session comes to.
//
// It stands behind the queue: package queue carries lines of
// accounting.Record.AppendJSON, ParseReport reads one, package session joins
// reports to sessions and makes records, package clearing stores both in one
// transaction. No packet passes here.
//
// Memory: a Report and a Record own all they hold. Both are plain values and
// safe for concurrent reading.
//
// The form of a Record is our own and neutral: what WRIX, TAP or a partner's
// file wants is made from it. It follows RFC 2866, 2869 and 5580 in what the
// fields mean. It does not rate: it has no money in it but the rate that the
// networks agreed on when the device attached.
package usage
