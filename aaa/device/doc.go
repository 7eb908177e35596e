// Package device decides whether a device may use a visited network, and with
// what limits. A device refers to a profile; thousands of profiles serve
// millions of devices.
//
// In the packet walk it stands between the routing (realm.Route) and the
// choice of a home server. Table.Decide is the hot call: a hit costs one keyed
// hash and one probe of a pointer-free table. A miss is parked by the caller
// and fetched by Table.Fetch, which collects misses into one MGET and calls
// Waiter.PolicyReady exactly once; the caller then asks Decide again.
//
// Policies come from Redis (keys in layout.go, kept fresh by a change stream)
// or, without Redis, from a YAML file. While Redis is away known devices are
// served from memory for a day and unknown ones by the rule of their realm.
//
// A device is named by its IMSI (RFC 4186/4187 identity or 3GPP-IMSI of TS
// 29.061), else by its MAC address (Calling-Station-Id, RFC 3580 section
// 3.21), else by Chargeable-User-Identity and realm (RFC 4372), else by its NAI
// (RFC 7542). Only a keyed 128-bit hash of that name is kept in memory.
//
// Table is safe for concurrent use: Decide reads atomic words and immutable
// snapshots, writers are serialised. Query borrows its octets for the call.
// Profiles and the attributes they carry are immutable and may be kept.
//
// Usage, attempts, days of roaming and equipment seen are counted per process
// and forgotten with it: a device that is abroad too long, or in other equipment,
// may go on for as long again after a start, and on each hub. The package does not read packets, send answers or know homes.
package device
