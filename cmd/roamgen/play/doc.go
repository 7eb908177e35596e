// Package play plays the networks on both sides of a RADIUS roaming proxy:
// NAS is a visited network that sends requests, Home is a home server that
// answers them by a script. Demos, tests and benchmarks stand on it; the
// product does not import it.
//
// In the packet walk a NAS stands before the first step and a Home after the
// last: NAS -> proxy -> Home -> proxy -> NAS. Both also speak to each other
// directly, which is how their own ceiling is measured. Each worker of a NAS
// and each shard of a Home is one goroutine with its own sockets, poller,
// scratch and counters; Homes put a shard of each of many into one goroutine.
// A loop reads the clock once per batch, proves and signs what is in it
// together, and allocates nothing per transaction. Only Snapshot, SetScript,
// Stop and Close may be called from other goroutines.
//
// Over connections (see Stream) each has a goroutine that reads and one that
// writes; the reader does the loop's work for what it has read, under the lock
// of its worker or shard. A connection has the identifiers of RADIUS/1.0 or the
// tokens of RADIUS/1.1, nothing is sent twice on it, and what was in flight when
// it ends is lost and counted.
//
// Both verify all they receive: the NAS the Response Authenticator, the
// Message-Authenticator, the Proxy-State echo and the MS-MPPE keys of every
// answer, the Home the authenticators, the password, the State and the Class
// of every request. What is wrong gets a name of a closed set and a count,
// so that a test can ask for conservation: sent = answered + lost.
//
// Standards: RFC 2865 (authentication), RFC 2866 (accounting), RFC 2869 and
// RFC 3579 (Message-Authenticator, EAP-Message), RFC 2548 (MS-MPPE keys),
// RFC 5997 (Status-Server), RFC 5080 section 2.2.1 (retransmission with the
// same identifier and authenticator). The EAP here is a shape, not a method:
// rounds, sizes and State are real, the cryptography inside is not.
//
// RFC 6613 and 6614 (TCP, TLS), RFC 9765 (RADIUS/1.1).
//
// LayehSession and LayehHome are the same roles written with layeh.com/radius
// instead of pkg/radius, so that tests have a second opinion.
package play
