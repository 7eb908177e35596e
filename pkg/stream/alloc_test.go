//go:build !race

package stream

import (
	"context"
	"crypto/tls"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/udp"
)

// both gives two Conns that face each other, each in its loop.
func both(t testing.TB, version uint16, loop *udp.Poller, tag uint32) (server, client *Conn) {
	ours, theirs := sockets(t)
	var err error
	if version == 0 {
		server, err = Plain(ours)
		require.NoError(t, err)
		client, err = Plain(theirs)
		require.NoError(t, err)
	} else {
		conf := serverConfig(version)
		Harden(conf)
		done := make(chan error, 1)
		go func() {
			var err error
			client, err = Client(context.Background(), theirs, clientConfig())
			done <- err
		}()
		server, err = Server(context.Background(), ours, conf)
		require.NoError(t, err)
		require.NoError(t, <-done)
	}
	require.NoError(t, server.Attach(loop, tag))
	require.NoError(t, client.Attach(loop, tag+1))
	t.Cleanup(func() {
		server.Close()
		client.Close()
	})
	return server, client
}

// send sends n packets and receive takes them.
func send(c *Conn, n int, p []byte) {
	for range n {
		c.Commit(copy(c.Room(), p))
	}
	if err := c.Flush(); err != nil {
		panic(err)
	}
}

func receive(loop *udp.Poller, c *Conn, n int) {
	for n > 0 {
		if _, err := c.Recv(); err != nil {
			panic(err)
		}
		for {
			b, err := c.Next()
			if err != nil {
				panic(err)
			}
			if b == nil {
				break
			}
			n--
		}
		c.Done()
		if n > 0 {
			_, _, _ = loop.Wait(patience)
		}
	}
}

var versions = []struct {
	name    string
	version uint16
}{{"tcp", 0}, {"tls1.3", tls.VersionTLS13}, {"tls1.2", tls.VersionTLS12}}

// There and back, in steady state. crypto/tls allocates once for each time that
// it asks for octets of a record, and it asks again where the record was cut; we
// do not at all.
func TestAllocs(t *testing.T) {
	for _, v := range versions {
		for _, n := range []int{1, 64, 500} {
			loop, err := udp.NewPoller()
			require.NoError(t, err)
			defer loop.Close()
			server, client := both(t, v.version, loop, 1)
			p := packet(1, 230)
			round := func() {
				send(client, n, p)
				receive(loop, server, n)
				send(server, n, p)
				receive(loop, client, n)
			}
			for range 20 {
				round()
			}
			records := func() uint64 {
				in, _ := server.Records()
				back, _ := client.Records()
				return in + back
			}
			before := records()
			allocs := testing.AllocsPerRun(100, round)
			most := float64(records()-before) / 101
			require.LessOrEqual(t, allocs, 2*most, "%s, %d packets", v.name, n)
			t.Logf("%s, %d packets there and back: %v allocations, %.2f records", v.name, n, allocs, most)
		}
	}
}

// What an idle connection costs, both ends together in one process, after it
// has carried something. Two thousand of one end have 100 MB.
func TestAllocsIdle(t *testing.T) {
	loop, err := udp.NewPoller()
	require.NoError(t, err)
	defer loop.Close()
	const pairs = 100
	p := packet(1, 4000)
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := heap()
	conns := make([]*Conn, 0, 2*pairs)
	for i := range uint32(pairs) {
		server, client := both(t, tls.VersionTLS13, loop, 2*i)
		send(client, 20, p)
		receive(loop, server, 20)
		send(server, 20, p)
		receive(loop, client, 20)
		conns = append(conns, server, client)
	}
	each := (heap() - before) / uint64(len(conns))
	t.Logf("%d octets for each end", each)
	require.Less(t, each, uint64(50_000))
	runtime.KeepAlive(conns)
}

func BenchmarkRound(b *testing.B) {
	for _, v := range versions {
		b.Run(v.name, func(b *testing.B) {
			loop, err := udp.NewPoller()
			require.NoError(b, err)
			defer loop.Close()
			server, client := both(b, v.version, loop, 1)
			p := packet(1, 230)
			b.ReportAllocs()
			for b.Loop() {
				send(client, 64, p)
				receive(loop, server, 64)
				send(server, 64, p)
				receive(loop, client, 64)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/128, "ns/packet")
		})
	}
}
