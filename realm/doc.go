// Package realm says where the requests of a realm go. It holds one whole
// configuration of peers and routes as plain immutable data (Set) and the
// lookup from a folded realm name to its Route (Table).
//
// In the packet walk it stands after pkg/nai, which splits and folds the
// User-Name (RFC 7542), and before aaa/device and aaa/home, which decide about
// the device and pick the home server. An Access-Request whose realm has no
// route is answered with an Access-Reject, never with silence.
//
// A Table asks in this order, and the first route that takes the request has it
// (Find; Candidates for explanations):
//
//  1. imsi: a range of subscribers, by 3GPP-IMSI or the name of a permanent
//     identity (3GPP TS 23.003 section 19.3.2); the narrowest range first
//  2. the realm itself
//  3. "*.suffix", which stands for every realm below the suffix, not for the
//     suffix; the longest first
//  4. plmn: the mobile network of a 3GPP realm, then its country
//  5. a regular expression, of the realm or of the whole name; by rank
//  6. "default" for a realm, "none" for a name without one: a missing realm is
//     a fault of the device's configuration, not a roaming destination, and
//     never falls through to "default"
//
// Several routes may have one subject: those with a condition or for some groups
// of clients only come first, by rank, and what none of them takes goes on to the
// route for all of it, then to wider subjects. A subject whose routes are all for
// other groups ends the search: a realm closed to its sender is nobody else's.
//
// The same routes are those of Diameter (RFC 6733 section 2.7): the realm is
// Destination-Realm, the subscriber the User-Name of 3GPP commands. A route says for
// each protocol what becomes of its requests; one that says nothing for a protocol is
// passed over, and the search goes on to wider subjects.
//
// A million routes are meant: their names stand in the slots of one table
// without pointers, 64 octets each and filled to 3/5, behind an octet of hash
// each, so that a look-up touches one cache line of them and a collection
// nothing. Ranges of subscribers are steps in one row, networks a field.
//
// Nothing here changes after it is built. A Set, its slices and its Table may
// be read by any number of goroutines; a new configuration is a new Set behind
// the owner's atomic pointer. Routes found by Lookup belong to the Set and live
// as long as somebody holds them.
//
// The package reads no files (realm/file does), resolves no names and knows
// nothing of the health of a home.
package realm
