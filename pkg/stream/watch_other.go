//go:build !linux

package stream

import (
	"net"

	"github.com/roamgate/roamgate/pkg/udp"
)

// watch is for systems whose sockets the poller watches.
func watch(*net.TCPConn, *udp.Poller, uint32) (link, error) { return nil, udp.ErrNoStreams }
