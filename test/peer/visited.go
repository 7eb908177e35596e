package peer

import (
	"net/netip"
	"testing"
)

// Server is where a client sends its requests, and under which secret.
type Server struct {
	Auth, Acct netip.AddrPort
	Secret     string
}

// Visited is the kind of equipment in front of a next hop.
type Visited uint8

// What a visited network runs.
const (
	NASOnly Visited = iota // the NAS speaks to the next hop itself
	FreeRADIUSProxy
	RadsecproxyProxy
)

// AllVisited are all of them.
var AllVisited = []Visited{NASOnly, FreeRADIUSProxy, RadsecproxyProxy}

// String names it.
func (v Visited) String() string {
	return [...]string{"nas", "freeradius", "radsecproxy"}[v]
}

// Before starts the visited proxy in front of next and returns where its NAS
// sends. Without a proxy that is next itself.
func (v Visited) Before(t testing.TB, next Server) Server {
	t.Helper()
	switch v {
	case FreeRADIUSProxy:
		return StartVisited(t, "visited-freeradius", visitedSecret, next).Server
	case RadsecproxyProxy:
		return StartRadsecproxy(t, "visited-radsecproxy", visitedSecret, next).Server
	}
	return next
}

// visitedSecret is shared by a visited proxy and its NAS.
const visitedSecret = "visited-secret-of-32-octets-or-more"

// BeforeTLS is the same with a next hop over TLS, which a NAS alone does not
// speak.
func (v Visited) BeforeTLS(t testing.TB, next Next) Server {
	t.Helper()
	if v == FreeRADIUSProxy {
		return StartVisitedTLS(t, "visited-freeradius", visitedSecret, next).Server
	}
	return StartRadsecproxyTLS(t, "visited-radsecproxy", visitedSecret, nil, next).Server
}
