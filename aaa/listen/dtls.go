package listen

import (
	"context"
	"crypto/tls"
	"net/netip"

	"github.com/roamgate/roamgate/pkg/stream"
	"github.com/roamgate/roamgate/pkg/stream/dtls"
)

// asked says whether a stranger's datagram is worth a handshake.
func (a *Acceptor) asked(d *door) func(netip.AddrPort) bool {
	return func(from netip.AddrPort) bool {
		if a.hub.Allow(d.Address, from.Addr()) {
			return true
		}
		a.finish(&Visitor{Door: d.Address, Remote: from, Local: d.Addr}, UnknownSource, nil)
		return false
	}
}

// met does the handshakes of a door for DTLS.
func (a *Acceptor) met(i int) func(netip.AddrPort, *dtls.Peer) {
	return func(from netip.AddrPort, p *dtls.Peer) {
		d := &a.doors[i]
		v := &Visitor{Door: d.Address, Index: i, Remote: from, Local: d.Addr}
		if p == nil {
			a.finish(v, TooMany, nil)
			return
		}
		if why := a.open.enter(from.Addr(), a.limits); why != Accepted {
			_ = p.Close()
			a.finish(v, why, nil)
			return
		}
		a.wg.Go(func() {
			defer a.open.leave(from.Addr())
			a.shake(v, func(ctx context.Context, vi *visit) (*stream.Conn, error) {
				return dtls.Server(ctx, p, &tls.Config{
					GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
						return a.configure(vi, hello)
					},
				})
			})
		})
	}
}
