// Package home knows the home servers: which of a pool gets a request, under
// which socket and Identifier it leaves, when it is sent again, and whether
// the server is alive.
//
// In the packet walk it stands behind the route: Pool.Pick chooses the home
// (Sticky first keeps an EAP conversation where it began), IDs gives it a
// socket and an Identifier, Timers and Wheel say when to repeat or give up;
// View.FromAddr and IDs.Find lead the reply back to its exchange. Before all
// that Pace says whether the home can take one more, or the request waits.
//
// The health of a home (State), apart for authentication and accounting:
//
//   - up -> degraded: a request has gone unanswered for 2 s with 3 timeouts,
//     or for 2.5 s, and nothing authentic came since; or 2 probes were lost.
//   - degraded -> down: with Status-Server, 3 probes in a row were lost and
//     no request was answered meanwhile; without, 5 s of the same silence
//     with 3 timeouts, or 15 s.
//   - down -> degraded: one authentic answer. degraded -> up: 3 of them with
//     no timeout between, inside a minute.
//   - upwards only 2 s after the last step down; a home that falls again
//     within a minute of rising waits twice as long each time, up to 60 s.
//
// Only verified replies move health upwards, and bad ones never downwards;
// they only name a silence bad_secret instead of timeout. Lost probes prove
// nothing about a home that answers requests but never answered a probe: its
// status_server is set wrongly.
//
// IDs, Pace, Trunk and Wheel belong to one shard. Registry, View, Pool, State and Sticky
// are safe for concurrent use, and what shards call of them takes no lock
// and allocates nothing. Time is monotonic nanoseconds from one origin for
// all shards and the Monitor.
//
// A home that is reached by TCP, TLS or DTLS has connections instead of sockets
// and identifiers: a Trunk of each shard says which of them takes a request and
// when one is opened, watched, replaced or closed, and Numbers tell the requests
// on it apart. Whether connections can be had moves the health at once (reach);
// silence over one that stands degrades a home and no more. Homes that DNS has
// found stand in slots of the Registry (Discover, FoundPool).
//
// RFC 2865 section 2.5, RFC 3539 section 3.4.1, RFC 5080 sections 2.2.1 and
// 2.2.2, RFC 5997. The package sends nothing but probes. Realms behind a live
// home do not count for its health: the Breaker, where a pool has it, keeps
// requests for a silent one from the home. Names of homes are found elsewhere
// (realm/resolve); a home with several addresses is one member of its pool,
// and each address has a health of its own.
package home
