// Package agent carries Diameter requests between peers by realm, as a relay, proxy or
// redirect agent (RFC 6733 sections 2.8 and 6), and is the other end of RADIUS where a
// route translates.
//
// An Agent owns one loop: a goroutine with a poller, all connections, the table of
// transactions, a timer wheel and its counters. Nothing per message takes a lock,
// allocates, formats a string or reads a clock. Connecting, accepting, handshakes of
// TLS, the durable log and misses of the device policy are elsewhere and come back by
// the loop's mailbox.
//
// # The walk of a request
//
//	stream.Conn        all whole messages of a connection, cut by their lengths
//	diameter.Message   AVPs walked once, by the lengths on the wire   (bad: answer 5xxx)
//	peer.Machine       application 0: capabilities, watchdog, disconnection
//	rates              more than the peer may send                    (3004)
//	screen             what may never come from there                 (mode of the rule)
//	repetitions        T bit or accounting: the answer is known, or it is under way
//	Route-Record       ours is in the list                            (3005)
//	Destination-Host   ours, or that of a connected peer
//	realm.Table        realm, application, command, IMSI -> realm.Route   (none: 3003)
//	device.Table       policy and steering of authentication commands (Experimental-Result)
//	accounting         ACR, CCR: the record is durable before anything is answered
//	node               a peer of the pool that serves the application (none: 3002; full: 3004)
//	transaction        a slot; its number is the Hop-by-Hop Identifier
//	link               the message with Route-Record, in the send queue of a connection
//
// and back: Hop-by-Hop Identifier -> transaction, End-to-End Identifier compared, the
// sender's Hop-by-Hop Identifier again, the queue of the connection that it came by.
//
// # Memory and concurrency
//
// A transaction keeps its own copy of the request until it is answered, so that it can
// be sent to another peer (with the T bit) when a connection is lost. The configuration
// is an immutable snapshot. Everything but Agent's exported methods belongs to the
// loop's goroutine.
package agent

import (
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/pkg/udp"
)

// Config is what an Agent is built with. The zero value of a field means its default.
type Config struct {
	Identity string           // our DiameterIdentity, a name of a host
	Realm    string           // our Origin-Realm
	Hosts    []netip.Addr     // Host-IP-Address, default that of the connection
	Listen   []listen.Address // over TCP, TLS and SCTP; their Service is listen.Diameter
	// DNS are the servers that names of peers are asked from, none: those of this host.
	DNS      []netip.AddrPort
	InFlight int    // transactions, default 65536
	StateID  uint32 // Origin-State-Id, default the Unix time of the start
	// Signalling is how long requests of signalling and non-IP data are counted for one
	// record, default an hour; below 0: they are not.
	Signalling time.Duration
	Drain      time.Duration // how long peers get to answer before a disconnection, default 5 s

	Handshake time.Duration // of TLS, and the exchange of capabilities, default 10 s
	HalfOpen  int           // handshakes at a time, default 1024
	PerSource int           // of them from one /24 or /56, default 64
	Most      int           // connections in all, default 16384
}

// Rooms are the parts an Agent works with but does not own.
type Rooms struct {
	Log      *zap.Logger
	Stats    *stat.Registry
	Spool    *spool.Spool
	Events   *accounting.Events
	Owed     Creditor      // nil: nothing is acknowledged before a home has it
	Identity []byte        // keys the hashes of identities
	Policy   *device.Table // nil: no route may enable the device policy
}

// Conn is a connection that carries Diameter messages: a stream.Conn, the gateway to
// RADIUS, or that of a test. From Attach on it belongs to the loop.
type Conn interface {
	// Attach has the poller give tag when there is something to receive, or room again.
	Attach(p *udp.Poller, tag uint32) error
	Recv() (more bool, err error)
	Next() ([]byte, error)
	Done()
	// RoomFor lends n octets to build a message in, nil: the peer takes too little.
	RoomFor(n int) []byte
	Commit(n int)
	Flush() error
	Queued() int
	Sent() uint64
	Remote() netip.AddrPort
	Local() netip.AddrPort
	Close()
}

type conn = Conn
