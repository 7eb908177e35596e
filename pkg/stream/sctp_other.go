//go:build !linux

package stream

import (
	"context"
	"net"
	"net/netip"
)

// DialSCTP connects over SCTP, where the system has it.
func DialSCTP(context.Context, netip.AddrPort) (*net.TCPConn, error) { return nil, ErrNoSCTP }

// ListenSCTP gives what connections over SCTP come to.
func ListenSCTP(netip.AddrPort) (net.Listener, error) { return nil, ErrNoSCTP }
