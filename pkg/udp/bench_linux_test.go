package udp

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// The packet benchmarks send a batch over loopback and receive it, so one
// operation is one datagram out and in, with the kernel's work for both.

func benchEnds(b *testing.B, o Options) (*Conn, *Conn) {
	open := func() *Conn {
		c, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), o)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Close() })
		return c
	}
	return open(), open()
}

func benchmarkBatch(b *testing.B, size, spread int, o Options) {
	in, out := benchEnds(b, o)
	batch, q := NewBatch(64, MaxPacket+1), NewQueue(out, 64)
	to := AddrFrom(in.LocalAddr())
	b.ReportAllocs()
	sum := 0
	for i := 0; b.Loop(); i++ {
		buf := q.Next()
		q.Commit(copy(buf, packet)-i*7919%spread, to, LocalInfo{})
		if i%size < size-1 {
			continue
		}
		q.Flush()
		n, err := in.Recv(batch)
		if n != size || err != nil {
			b.Fatal(n, err)
		}
		for k := range n {
			sum += len(batch.Data(k)) + int(batch.Addr(k).Port)
		}
	}
}

func BenchmarkBatch64(b *testing.B) { benchmarkBatch(b, 64, 1, Options{}) }
func BenchmarkBatch16(b *testing.B) { benchmarkBatch(b, 16, 1, Options{}) }
func BenchmarkBatch4(b *testing.B)  { benchmarkBatch(b, 4, 1, Options{}) }
func BenchmarkBatch1(b *testing.B)  { benchmarkBatch(b, 1, 1, Options{}) }

// Segmentation with one length, and with lengths that differ by up to 40.
func BenchmarkSegmented64(b *testing.B) { benchmarkBatch(b, 64, 1, Options{Segment: true}) }
func BenchmarkSegmented64Mixed(b *testing.B) {
	benchmarkBatch(b, 64, 40, Options{Segment: true})
}
func BenchmarkSegmented4Mixed(b *testing.B) {
	benchmarkBatch(b, 4, 40, Options{Segment: true})
}

// BenchmarkNetUDPConn is the anchor: the standard library, 64 and 64 in turn.
func BenchmarkNetUDPConn(b *testing.B) {
	open := func() *net.UDPConn {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Close() })
		return c
	}
	in, out := open(), open()
	to := in.LocalAddr().(*net.UDPAddr).AddrPort()
	buf := make([]byte, MaxPacket+1)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := out.WriteToUDPAddrPort(packet, to); err != nil {
			b.Fatal(err)
		}
		if i%64 < 63 {
			continue
		}
		for range 64 {
			if _, _, err := in.ReadFromUDPAddrPort(buf); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func benchPoller(b *testing.B) *Poller {
	p, err := NewPoller()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.Close)
	in, out := benchEnds(b, Options{})
	if err := p.Add(in, 1); err != nil {
		b.Fatal(err)
	}
	q := NewQueue(out, 1)
	q.Send(packet, AddrFrom(in.LocalAddr()), LocalInfo{})
	q.Flush()
	return p
}

func BenchmarkWaitLook(b *testing.B) {
	p := benchPoller(b)
	b.ReportAllocs()
	for b.Loop() {
		if tags, _, _ := p.Wait(0); len(tags) != 1 {
			b.Fatal(tags)
		}
	}
}

func BenchmarkWaitReady(b *testing.B) {
	p := benchPoller(b)
	b.ReportAllocs()
	for b.Loop() {
		if tags, _, _ := p.Wait(time.Second); len(tags) != 1 {
			b.Fatal(tags)
		}
	}
}

func BenchmarkWakeAwake(b *testing.B) {
	p := benchPoller(b)
	b.ReportAllocs()
	for b.Loop() {
		p.Wake()
	}
}

func BenchmarkRecvEmpty(b *testing.B) {
	in, _ := benchEnds(b, Options{})
	batch := NewBatch(64, MaxPacket+1)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = in.Recv(batch)
	}
}
