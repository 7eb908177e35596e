// Package realm says where the requests of a realm go. It holds one whole
// configuration of peers and routes as plain immutable data (Set) and the
// lookup from a folded realm name to its Route (Table).
//
// In the packet walk it stands after pkg/nai, which splits and folds the
// User-Name (RFC 7542), and before aaa/device and aaa/home, which decide about
// the device and pick the home server. An Access-Request whose realm has no
// route is answered with an Access-Reject, never with silence.
//
// A Table prefers the exact name, then the longest suffix entry
// ("*.iot.example" stands for every realm below iot.example, not for
// iot.example itself), then "default". A NAI without a realm has its own entry,
// "none", and never falls through to "default": a missing realm is a fault of
// the device's configuration, not a roaming destination.
//
// A million routes are meant: their names stand in the slots of one table
// without pointers, 64 octets each and filled to 3/5, so that a look-up touches
// one cache line of it and a collection nothing.
//
// Nothing here changes after it is built. A Set, its slices and its Table may
// be read by any number of goroutines; a new configuration is a new Set behind
// the owner's atomic pointer. Routes found by Lookup belong to the Set and live
// as long as somebody holds them.
//
// The package reads no files (realm/file does), resolves no names and knows
// nothing of the health of a home.
package realm
