package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
)

// vacant makes sure that nobody listens on the hub's addresses. The hub's own
// sockets share their ports among the shards, and so would a second hub: the
// kernel would split the packets of every client between the two.
func (c *config) vacant() error {
	n := map[string]int{}
	for _, a := range c.listens() {
		door := doorOf(a)
		key := fmt.Sprintf("listen.%s.%d", door, n[door])
		n[door]++
		network, try := "udp", func(n string) (io.Closer, error) { return net.ListenPacket(n, a.Addr.String()) }
		if a.Transport == realm.TLS || a.Transport == realm.TCP {
			network, try = "tcp", func(n string) (io.Closer, error) { return net.Listen(n, a.Addr.String()) }
		}
		family := "6"
		if a.Addr.Addr().Is4() {
			family = "4"
		}
		conn, err := try(network + family)
		if err != nil {
			return c.cannotListen(key, a.Addr, network, err)
		}
		if err := conn.Close(); err != nil {
			return fmt.Errorf("trying %s: %w", a.Addr, err)
		}
	}
	return nil
}

// doorOf is the key that an address stands under.
func doorOf(a listen.Address) string {
	switch a.Transport {
	case realm.TLS:
		return "radsec"
	case realm.UDP:
		return a.Service.String()
	}
	return a.Transport.String()
}

func (c *config) listenAdmin(ctx context.Context) (net.Listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Admin.Listen.String())
	if err != nil {
		return nil, c.cannotListen("admin.listen", c.Admin.Listen, "tcp", err)
	}
	return ln, nil
}

// cannotListen says where the address is configured, what the system said and
// what to do.
func (c *config) cannotListen(key string, a netip.AddrPort, network string, err error) error {
	p := file.Problem{Pos: c.doc.Pos(key), Severity: file.Error}
	var cause syscall.Errno
	if !errors.As(err, &cause) {
		p.Text = fmt.Sprintf("listening on %s: %v", a, err)
		return file.Problems{p}
	}
	p.Text = fmt.Sprintf("listening on %s: %s", a, cause.Error())
	switch cause {
	case syscall.EADDRINUSE:
		p.Hint = fmt.Sprintf("is a hub or another server running? `ss -H -l -p -A %s 'sport = :%d'` names it", network, a.Port())
	case syscall.EADDRNOTAVAIL:
		p.Hint = "the address must be one of this host"
	case syscall.EACCES:
		p.Hint = "ports below 1024 need CAP_NET_BIND_SERVICE"
	case syscall.EAFNOSUPPORT:
		p.Hint = "this host has no such addresses: name those to listen on under listen"
	}
	return file.Problems{p}
}

// spoolProblem says why a spool cannot be opened; instead is what to do where
// a hub has it open.
func spoolProblem(dir string, err error, instead string) error {
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return problem("the spool %s is in use: a hub is running (%s)", dir, instead)
	case errors.Is(err, spool.ErrOwner):
		return problem("%v (queue.node)", err)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EROFS):
		return problem("%v (spool.directory must be a directory that the hub's user may write to)", err)
	}
	return problem("%v", err)
}
