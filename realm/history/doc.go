// Package history keeps the versions of the routing files that have been in
// use, and takes others into use: by itself when the files change, or when an
// operator says so; for good, or until nobody has confirmed them in time.
//
// It runs beside the packet walk and never in it: a Control compiles a version
// with realm/file on the goroutine of whoever asks and hands the finished Set
// to the hub. What requests see of it is one swap of a pointer.
//
// A Store is a directory. versions/HASH holds the routing files of a version
// as they were, under the hash that a Set has; secrets are not among them, and
// a version is loaded with the secrets of the day. entries/NUMBER.json says
// when a version was taken into use, how, by whom and why. Each is written
// under another name first, synced and renamed, so that a crash leaves it
// whole or not at all. What is read back is held to its hash and to bounds; an
// entry or a version that is damaged is named and left out.
//
// A version that has to be confirmed is an entry with a deadline and the
// version to go back to. It is on disk before the version is in use, so the
// deadline holds over a restart too. Routing files themselves are only read:
// after a rollback they differ from what runs until somebody mends them.
//
// A guard compares the share of Access-Requests that are accepted before and
// after a change, client by client, so that a busier client alone does not
// look like a worse configuration.
//
// A Store is used by one process and one goroutine at a time, which its
// Control sees to; Read looks at the directory of a running hub without
// disturbing it. All methods of a Control may be called by any goroutine.
// State, which packets' counters and the status page ask, waits for nobody.
//
// It reads no packets and no clock: every call says what time it is.
package history
