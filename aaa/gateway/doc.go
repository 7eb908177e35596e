// Package gateway stands between the walk of RADIUS (package aaa) and that of Diameter
// (package agent), and gives each what it knows.
//
// To the hub it is a home server: a realm.Home of Transport Diameter, which shards
// connect to in memory (Dial), and a client of the name of each Diameter peer whose
// requests a route turns into RADIUS (Hub.Visit). To the agent it is a peer, by one
// connection (Wire). So both walks keep their routes, policies, duplicates and records,
// and a session is recorded once, by the walk of RADIUS on either way.
//
//	NAS -> hub -> Dial -> gateway -> Wire -> agent -> home        Access, Accounting
//	home -> agent -> Wire -> gateway -> Dial -> hub -> NAS        RAR, ASR
//	NAS -> agent -> Wire -> gateway -> Visit -> hub -> home       AAR, DER, ACR, STR
//	home -> hub -> Visit -> gateway -> Wire -> agent -> NAS       CoA, Disconnect
//
// The packets are written anew by package translate, in the form of RADIUS/1.1.
//
// # What it answers itself
//
// Status-Server, as long as the Diameter side has a peer; Accounting-On and -Off, when the
// sessions of the NAS, which they end one by one, are over at their homes; a
// Session-Termination-Request, when the Stop that it may owe is taken. All else waits for
// the other side. A record that was not taken is a Protocol-Error to the hub, which sends
// it again or not, and no answer to the NAS.
//
// # Memory and concurrency
//
// One goroutine (Run) has all of it; a mutex and a wake-up join it with the others.
// What is under way (exchange) keeps its own copy of the request. Sessions are bounded
// and forgotten: those of NASes of RADIUS for the requests that their home may send, and
// for the server that an EAP conversation began with. Nothing waits for a side that
// takes nothing: every queue and table is bounded, and what finds it full is counted. A
// request of Diameter is then answered 3004, an Access-Request by a Reject (Error-Cause
// 506), and what nobody has answered in time 3002 or a Reject (502); a record has no
// answer, and comes again.
//
// Time is monotonic nanoseconds, given to step; a test is the loop and the clock.
//
// RFC 4005 section 9, RFC 4072 section 6, RFC 5176, RFC 5997. It routes nothing, records
// nothing, and has no sockets.
package gateway
