// Package peer starts the real programs that roamgate stands between, so
// that tests can prove it against software that it shares no code with:
// FreeRADIUS as a home and as a visited server, radsecproxy as a visited
// proxy, both over TLS too, with the certificates of a Lab; openssl as a TLS
// peer that speaks no RADIUS, redis-server, eapol_test and radclient as NAS and
// device, nsd and unbound with zones signed here, and roamgate itself from this
// tree. A NAS and a home server built on
// layeh.com/radius stand beside them where a test needs to see or bend
// single packets.
//
// Every program runs as the current user, on free loopback ports, with a
// configuration written into the test's own directory. It is ready when it
// answers (Status-Server, PING, readyz), it is stopped by its process id when
// the test ends, and what it printed is shown when the test fails. Nothing
// here waits for a fixed time, and nothing waits without a bound.
//
// A Process and everything built on it belongs to the test that started it;
// its methods are safe for concurrent use. NAS and Home are safe for
// concurrent use.
//
// RFC 2865, 2866, 3579 (Message-Authenticator), 5997 (Status-Server). The
// package decides nothing about roamgate: it only starts, asks and counts.
package peer
