// Package aaa carries one AAA request from a visited network to a home and
// its answer back.
//
// A Hub owns N shards. A Shard is one goroutine with its own sockets, its
// slab of Exchanges, its duplicate cache, its identifiers toward every home,
// its timer wheel and its counters. Nothing per packet takes a lock that
// another shard takes, allocates, formats a string or reads a clock.
//
// # The packet walk: Access-Request
//
//	listen.Front      a batch of datagrams and their sources
//	client.Table      source address -> client and secret   (unknown: drop)
//	radius.Packet     lengths and attribute bounds, once    (bad: drop)
//	radius.Crypt      Message-Authenticator                 (bad: drop)
//	dedup.Cache       pending: drop; answered: same bytes; new: an Exchange
//	nai.Split         User-Name -> realm                    (bad: reject)
//	realm.Table       realm -> realm.Route                  (none: reject)
//	device.Table      policy; a miss parks the Exchange until it is fetched
//	home.Pool         State first, then consistent hash -> a home server
//	home.IDs          a free (source port, identifier) for that home
//	radius.Crypt      the request written anew for the home, sent in a batch
//
// and back: (socket, home, identifier) -> Exchange, authenticators verified,
// reply written anew for the client, remembered by dedup, sent in a batch.
//
// # The packet walk: Accounting-Request
//
// The same up to the Route, with the Request Authenticator in the place of
// the Message-Authenticator. Then accounting classifies the request, the
// record with the raw packet is appended to the shard's spool batch, and the
// route's acknowledgement mode says when the client is answered: `durable`
// once the batch is on disk, `home` once it is on disk and the home has
// answered. A batch that failed is never acknowledged.
//
// # Memory and concurrency
//
// A shard's Exchange keeps its own copy of the request in a buffer of the
// shard's slab; everything sent is built directly in the send queue of a
// socket. Other goroutines reach a shard only through its mailbox. The
// configuration is an immutable Snapshot; an Exchange keeps the Snapshot it
// began with until it ends, so a reload takes nothing away from it.
//
// Lock order: none is held while another is taken; a mailbox's mutex and the
// event ring's are the only ones a shard ever takes.
//
// Sections: RFC 2865 §2.3, §3, §5.33; RFC 2866 §2, §4.1; RFC 2869 §5; RFC
// 3579 §2.1, §2.6, §3; RFC 5080 §2.2; RFC 5997; RFC 7542 §2. What it does
// not do: TCP, TLS, Diameter and dynamic authorisation.
package aaa
