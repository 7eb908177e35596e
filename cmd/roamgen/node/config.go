package node

import (
	"crypto/tls"
	"net/netip"
	"time"

	dia "github.com/roamgate/roamgate/pkg/diameter"
)

// Config says who a Node is and whom it knows.
type Config struct {
	Identity, Realm string
	// Applications are those of its capabilities, none: it says that it relays.
	Applications []uint32
	TLS          *tls.Config // nil: TCP
	// Listen is where it accepts, not valid: nowhere. Port 0 takes a free one.
	Listen netip.AddrPort
	// Connect are those that it connects to, again and again; Connections is how
	// many it has with each, 0: 1.
	Connect     []netip.AddrPort
	Connections int
	Bind        netip.Addr    // where it connects from
	Retry       time.Duration // between two attempts, 0: 200 ms
	StateID     uint32        // Origin-State-Id, 0: none
	Script      Script
	// Track remembers every request by its origin and End-to-End Identifier, and
	// every accounting record.
	Track bool
	// Receive bounds what the kernel takes for it where it does not read, 0: as the
	// system does.
	Receive int
	// Heard is given every message that comes, nil: nobody is. It may keep none of it.
	Heard func(message []byte)
	// Spin has a goroutine that reads, answers and sends without ever sleeping: what a
	// sleep and its end take is no part of what is measured, and the processor is taken
	// whole. It is for TCP.
	Spin bool
	// Quiet answers no watchdog.
	Quiet bool
}

// Script says how a Node answers requests. The zero value answers all at once and well.
type Script struct {
	Delay time.Duration
	// Silent answers nothing but the base protocol.
	Silent bool
	// Result is what all requests get, 0: success. Of 3GPP's it is an
	// Experimental-Result where Vendor says whose.
	Result, Vendor uint32
	// Rounds is the number of DIAMETER_MULTI_ROUND_AUTH answers before the decision
	// on EAP.
	Rounds int
	// Late answers twice, where it is above 0: again after so long.
	Late time.Duration
}

// Applications of 3GPP stand in a Vendor-Specific-Application-Id.
func vendorOf(app uint32) uint32 {
	if app >= 1<<24 && app != dia.AppRelay {
		return dia.Vendor3GPP
	}
	return 0
}

const (
	dialLimit  = 10 * time.Second
	retryPause = 200 * time.Millisecond
	// A connection begins with a small buffer, and has a larger one when it is full.
	firstBuffer = 4 << 10
	readBuffer  = 256 << 10
	firstRoom   = 8 << 10
	productName = "roamgen"
	vendorID    = 0 // nobody has given one to roamgen
)
