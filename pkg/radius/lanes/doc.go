// Package lanes computes MD5 (RFC 1321) of many messages side by side. One
// MD5 is a chain in which every step waits for the one before; a processor
// with vector registers takes sixteen such chains in the time of one.
//
// In the packet walk it is what pkg/radius proves and makes the authenticators
// of a whole batch of packets with, instead of one after the other.
//
// A Batch belongs to one shard and is not safe for concurrent use. It copies
// what it hashes into memory of its own and keeps a message no longer than
// until the next Run. States are immutable and shared. Nothing allocates after
// New but a message larger than the Batch was made for.
//
// Where the processor has no kernel here, crypto/md5 does the same work one
// message at a time. The package knows nothing of RADIUS or of HMAC.
package lanes
