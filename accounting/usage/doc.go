// Package usage holds what the clearing side reads and writes: Report, what a
// hub says of one accounting packet, and Record, what a session comes to.
//
// It stands behind the queue: package queue carries lines of
// accounting.Record.AppendJSON, ParseReport reads one, package session joins
// reports to sessions and makes records, package clearing stores both in one
// transaction. No packet passes here.
//
// What comes in is hostile: a line may be anybody's, and the texts in it were
// chosen by a NAS. ParseReport and ReadRecord are bounded and strict about what
// they know; their errors name a field and never what is in it. What a later
// program adds is left out, what a later version means is not guessed
// (ErrNewer). Validate says what is unusual about a Record, in a closed list of
// codes; NewWriter exports records.
//
// Memory: a Report and a Record own all they hold; the texts of one Report
// share one piece. Both are plain values and safe for concurrent reading. A
// Writer belongs to one goroutine and holds at most one group of Parquet.
//
// The form of a Record is our own and neutral: what WRIX, TAP or a partner's
// file wants is made from it; schema.json says what each field is. It follows
// RFC 2866, 2869 and 5580 in what the fields mean. It does not rate: it has no money in it but the rate that the
// networks agreed on when the device attached.
package usage
