package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

// forward is the floor: it moves the datagrams of each client through a
// socket of their own to the home and back, in batches, and reads none.
// Arguments: whether it sends runs in one piece (UDP_SEGMENT), listen address,
// home address, again for accounting.
func forward(ctx context.Context, args []string) error {
	poller, err := udp.NewPoller()
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return errors.New("forward: no arguments")
	}
	segment, err := strconv.ParseBool(args[0])
	if err != nil {
		return fmt.Errorf("parsing the first argument: %w", err)
	}
	f := &relay{segment: segment, poller: poller, batch: udp.NewBatch(64, radius.MaxLen+1), clients: map[udp.Addr]*leg{}}
	for args = args[1:]; len(args) >= 2; args = args[2:] {
		at, err := netip.ParseAddrPort(args[0])
		if err != nil {
			return fmt.Errorf("parsing the listening address: %w", err)
		}
		home, err := netip.ParseAddrPort(args[1])
		if err != nil {
			return fmt.Errorf("parsing the home's address: %w", err)
		}
		front, err := f.open(at)
		if err != nil {
			return err
		}
		front.peer = udp.AddrFrom(home)
	}
	defer context.AfterFunc(ctx, poller.Wake)()
	for ctx.Err() == nil {
		tags, _, err := poller.Wait(-1)
		if err != nil {
			return err
		}
		for _, tag := range tags {
			f.move(f.legs[tag])
		}
		for _, l := range f.legs {
			l.queue.Flush()
		}
	}
	return nil
}

type relay struct {
	segment bool
	poller  *udp.Poller
	batch   *udp.Batch
	legs    []*leg
	clients map[udp.Addr]*leg
}

// leg is a socket. A front's peer is the home; the others stand for one
// client each.
type leg struct {
	conn  *udp.Conn
	queue *udp.Queue
	peer  udp.Addr
	front *leg // nil for a front itself
}

func (f *relay) open(at netip.AddrPort) (*leg, error) {
	conn, err := udp.Listen(at, udp.Options{RecvBuffer: 4 << 20, SendBuffer: 4 << 20, Segment: f.segment})
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", at, err)
	}
	l := &leg{conn: conn, queue: udp.NewQueue(conn, 64)}
	f.legs = append(f.legs, l)
	return l, f.poller.Add(conn, uint32(len(f.legs)-1))
}

func (f *relay) move(l *leg) {
	n, err := l.conn.Recv(f.batch)
	if err != nil {
		return
	}
	for i := range n {
		if l.front != nil {
			l.front.queue.Send(f.batch.Data(i), l.peer, udp.LocalInfo{})
			continue
		}
		if out := f.client(l, f.batch.Addr(i)); out != nil {
			out.queue.Send(f.batch.Data(i), l.peer, udp.LocalInfo{})
		}
	}
}

func (f *relay) client(front *leg, from udp.Addr) *leg {
	if l := f.clients[from]; l != nil {
		return l
	}
	if len(f.legs) > 512 { // a turn brings new client ports: forget the oldest
		f.forget()
	}
	l, err := f.open(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		return nil
	}
	l.peer, l.front = from, front
	f.clients[from] = l
	return l
}

// forget closes all client legs; they come back with the next datagram.
func (f *relay) forget() {
	kept := f.legs[:0]
	for _, l := range f.legs {
		if l.front == nil {
			kept = append(kept, l)
			continue
		}
		f.poller.Remove(l.conn)
		_ = l.conn.Close()
	}
	f.legs = kept
	clear(f.clients)
}
