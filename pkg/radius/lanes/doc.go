// Package lanes computes MD5 (RFC 1321) of many messages side by side. One
// MD5 is a chain in which every step waits for the one before; a processor
// with vector registers takes sixteen such chains in the time of one.
//
// In the packet walk it is what pkg/radius proves and makes the authenticators
// of a whole batch of packets with, instead of one after the other.
//
// On amd64 there are two kernels: one for AVX-512 (the foundation is enough:
// Intel servers since 2017, AMD since Zen 4) and one for AVX2 (Intel since
// 2013, AMD since Zen). Which one is decided at the start, by what processor
// and system can do; GODEBUG=cpu.avx512f=off leaves the first one out. On
// other processors, and where messages are too few to be worth a kernel,
// crypto/md5 does the same work one message at a time.
//
// A Batch belongs to one shard and is not safe for concurrent use. It copies
// what it hashes into memory of its own and keeps a message no longer than
// until the next Run. States are immutable and shared. Nothing allocates after
// New but a message larger than the Batch was made for.
//
// The package knows nothing of RADIUS or of HMAC.
package lanes
