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
//	listen.Front      a batch of datagrams and their sources; or of a connection
//	                  (conn), whose handshake said who the client is
//	client.Table      source address -> client and secret   (unknown: drop)
//	radius.Packet     lengths and attribute bounds, once    (bad: drop)
//	admit.Share       too much of too few, under overload   (shed: drop)
//	radius.Proofs     Message-Authenticator                 (bad: drop)
//	dedup.Cache       pending: drop; answered: same bytes; new: an Exchange
//	loop.Table        been here, or in flight already       (loop: reject)
//	rewrite.Program   what the client may send, its Operator-Name (bad: reject)
//	router.decide     where it goes; an Explainer asks the same
//	  nai.Split       User-Name -> realm, also of a decorated name (bad: reject)
//	  realm.Names     what the client may ask for           (not this: reject)
//	  realm.Table     realm, identity, conditions, groups -> realm.Route (none: reject)
//	  Set.Transit     between federations                   (no contract: reject)
//	  fence           homes that take the realm and did not send it (none: reject)
//	  travelled       Proxy-States and hops                 (too many: reject)
//	traffic.Table     some of the requests, for plan to ask again
//	discovery.Table   homes found by DNS; a miss parks the Exchange
//	device.Table      policy; a miss parks the Exchange until it is fetched
//	home.Pool         State first, then the balance -> a home server
//	home.Pace         now; or a home that struggles: wait for a turn
//	home.IDs          a free (source port, identifier) for that home; or of a
//	                  home.Trunk a connection and a number on it
//	rewrite.Draft     outgoing: the User-Name, hops and attributes for the home
//	radius.Crypt      the request written anew for the home
//	radius.Signatures its Message-Authenticator
//	udp.Queue         sent in a batch
//
// and back: (socket or connection, home, identifier or token) -> Exchange, authenticators verified,
// filtered for the home (returned) and the client (returning), its User-Name the
// client's again, written anew for the client, signed, remembered by dedup, sent.
//
// A batch is heard as a whole (bounds, client), proved together, and only then
// taken one by one; what it causes is written into the send queues unsigned
// and signed together before anything leaves. In between, an answer has no
// Exchange any more and its entry in the duplicate cache is still pending.
//
// # Overload
//
// Answers of homes are read first, then what continues a conversation or is
// accounting is preferred, repetitions are answered from the cache, and new
// requests come last (RFC 5080 §2.2.3). Whoever comes too much waits in the
// kernel's buffer and is dropped there, which costs nothing, unless it is few
// clients that send most of it (admit.Share). A home is given what it answers
// (home.Pace), and never more than half of the slots.
//
// # The packet walk: Accounting-Request
//
// The same up to the Route, with the Request Authenticator in the place of
// the Message-Authenticator; a record that is routed nowhere is quarantined
// and acknowledged. Then accounting classifies the request, the
// record with the raw packet is appended to the shard's spool batch, and the
// route's acknowledgement mode says when the client is answered: `durable`
// once the batch is on disk, `home` once it is on disk and the home has
// answered. A batch that failed is never acknowledged.
// A repetition whose first copy is being committed waits behind it. What a
// home does not take at once is owed to it: the walk (later) forwards it, the
// records of a session in order, until it is taken or is a dead letter.
//
// # The way back
//
// CoA-Request and Disconnect-Request go from a home to the visited network. One
// goroutine (dynAuth) carries them with sockets of its own; shards only tell it
// where sessions are, by dynauth.Book, and hide the NASes of clients at the edge
// in an Operator-NAS-Identifier. See dynauth.
//
// # Connections
//
// A connection of TCP or TLS belongs to one shard from the end of its handshake
// until it is closed (conns): it is read, decrypted, encrypted and written in that
// shard's loop, which never waits for it. Handshakes, dialling, the judging of
// certificates and DNS are done beside the shards, in bounded number. A client's
// connection that ends makes its requests orphans (visiting, welcome, judging); one
// to a home hands its requests to another connection or home (links, dial). What
// differs between versions of RADIUS is in radius.Secret: radius.Clear is that of
// RADIUS/1.1. CoA inside of connections is passed to dynAuth (inside).
//
// # Diameter
//
// Diameter has a walk of its own, package agent: one goroutine with the same Snapshot of
// routes, clients and policy, and no part of a shard. Where a route makes one protocol
// the other, package gateway stands between the two. For shards it is a home of
// Transport Diameter, to which links dial in memory, and a client: each Diameter
// peer whose requests become RADIUS has a connection from within (Hub.Visit, within).
// Both speak RADIUS/1.1, so nothing here knows more of Diameter, and a session that is
// translated is recorded by this walk, on either way.
//
// # Memory and concurrency
//
// A shard's Exchange keeps its own copy of the request in a buffer of the
// shard's slab; everything sent is built directly in the send queue of a
// socket or a connection. Other goroutines reach a shard only through its mailbox. The
// configuration is an immutable Snapshot; an Exchange keeps the Snapshot it
// began with until it ends, so a reload takes nothing away from it.
//
// Lock order: none is held while another is taken; a mailbox's mutex and the
// event ring's are the only ones a shard ever takes; where CoA is listened to,
// also one of the many of dynauth.Book, for the time of one cache line.
//
// Sections: RFC 2865 §2.3, §3, §5.33; RFC 2866 §2, §4.1; RFC 2869 §5; RFC
// 3579 §2.1, §2.6, §3; RFC 5080 §2.2; RFC 5997; RFC 7542 §2, §3.3.1; RFC 7930;
// RFC 9765; draft-ietf-radext-radiusdtls-bis §3. What it does not do: messages of Diameter.
package aaa
