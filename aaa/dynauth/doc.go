// Package dynauth carries CoA-Request and Disconnect-Request from a home back
// to the visited network in which the session is (RFC 5176, RFC 8559).
//
// It is the walk of a request turned round. A home's address chooses its secret
// (Table); the Request Authenticator, the Message-Authenticator and the
// Event-Timestamp are judged before anything else; a repetition is answered
// with the same octets. Then the hub looks for the way: by Operator-Name, else
// by the live session (Book), never by User-Name. The User-Name only has to
// belong to the home: its realm must be routed to the sender, or whoever is a
// member of a federation could end the sessions of all others (RFC 8559
// section 4.3.1). What is sent on is repeated by the timers of RFC 5080, to
// another connection where one stays silent, and the answer goes back. What
// cannot be sent on is answered with a NAK that says why.
//
// A Machine does all that without sockets and without a clock: packets and the
// time come in, packets go out through a Connection or Answer. It belongs to
// one goroutine. A Connection is a way to a client: a UDP socket, or one that the
// client has opened itself (draft-ietf-radext-reverse-coa), where the
// configuration gives it that right: an operator has any number of connections
// and a connection serves any number of operators. A home likewise may send by a
// connection that we have opened to it. There, nothing is repeated.
//
// A Book is shared: shards write into it what they see of sessions, without
// allocating, under locks that they hold for the time of one cache line. It has
// a fixed size and holds keyed hashes only. A Sealer belongs to one goroutine;
// it hides a NAS from homes in an Operator-NAS-Identifier and finds it again,
// from nothing but a key. A Table is immutable.
//
// Packets handed in are borrowed for the time of the call. A request that waits
// for its answer keeps copies, in bounded number.
//
// What it does not do: it holds no session and asks no NAS about one, it
// originates no request, and it does not convert to Diameter.
package dynauth
