// Package node plays Diameter nodes around an agent: an MME, an HSS, a NAS, a home AAA
// server and both sides of charging. Demos, tests and benchmarks stand on it; the
// product does not import it.
//
// In the walk of a request a Node stands first, where it works, and last, where it
// answers; every Node can do both. It builds each message by itself on pkg/diameter,
// and has a peer machine of its own that is as small as RFC 6733 section 5 lets it be:
// capabilities, watchdog, disconnection. Nodes also speak to each other directly, which
// is how their own ceiling is measured.
//
// Both ends verify what they receive. An answer must have the identifiers, the command,
// the Session-Id and, of EAP, the key that its request asks for; a request must be for
// the realm of the node. What is wrong is counted, and so is what never came, so that a
// test can ask for conservation: sent = answered + lost.
//
// Concurrency: a connection has a goroutine that reads and one that writes; the reader
// answers requests, takes answers and begins what follows them, under the lock of the
// Node. With Config.Spin one goroutine does all of it, for all connections, and never
// sleeps. All methods may be called from everywhere. Memory: what arrives is borrowed from
// the buffer of its connection; Ask gives a copy.
//
// RFC 6733 (base), 7155 (NASREQ), 4072 (EAP), 8506 (credit control), 3GPP TS 29.272
// (S6a), TS 29.128 (T6a). The EAP here is a shape, not a method. It does not do SCTP,
// elections or a failover other than that of section 5.5.4: what was under way on a lost
// connection is sent again with the T bit over another.
package node
