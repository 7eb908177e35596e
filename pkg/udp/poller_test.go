package udp

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPollerTags(t *testing.T) {
	for _, impl := range implementations {
		t.Run(impl.name, func(t *testing.T) {
			p, err := impl.poller()
			require.NoError(t, err)
			open := func() *end {
				c, err := impl.listen(netip.MustParseAddrPort("127.0.0.1:0"), Options{})
				require.NoError(t, err)
				own, err := impl.poller()
				require.NoError(t, err)
				e := newEnd(t, c, own)
				own.Remove(c)
				return e
			}
			a, b, out := open(), open(), open()
			a.poller, b.poller = p, p
			require.NoError(t, p.Add(a.conn, 0xffffffff))
			require.NoError(t, p.Add(b.conn, 2))

			out.send(b.addr(), []byte("b"))
			tags, woken := b.wait(patience)
			assert.Equal(t, []uint32{2}, tags)
			assert.False(t, woken)
			out.send(a.addr(), []byte("a"))
			a.recv()
			tags, _ = b.wait(0)
			assert.Equal(t, []uint32{2}, tags, "what is not read is told again")
			out.send(a.addr(), []byte("a"))
			for len(tags) < 2 {
				tags, _ = b.wait(patience)
			}
			assert.ElementsMatch(t, []uint32{2, 0xffffffff}, tags)

			p.Remove(b.conn)
			p.Remove(b.conn)
			tags, _ = a.wait(patience)
			assert.Equal(t, []uint32{0xffffffff}, tags)
			a.recv()
			tags, woken, err = p.Wait(0)
			assert.NoError(t, err)
			assert.Empty(t, tags)
			assert.False(t, woken)
		})
	}
}

func TestPollerTimeout(t *testing.T) {
	each(t, Options{}, func(t *testing.T, server, _ *end) {
		start := time.Now()
		for time.Since(start) < 20*time.Millisecond {
			tags, woken, err := server.poller.Wait(20*time.Millisecond - time.Since(start))
			require.NoError(t, err)
			assert.Empty(t, tags)
			assert.False(t, woken)
		}
		assert.Less(t, time.Since(start), patience)
	})
}

func TestWake(t *testing.T) {
	each(t, Options{}, func(t *testing.T, server, client *end) {
		p := server.poller
		p.Wake()
		p.Wake()
		_, woken, err := p.Wait(-1)
		require.NoError(t, err)
		assert.True(t, woken, "before the wait")
		_, woken, err = p.Wait(0)
		require.NoError(t, err)
		assert.False(t, woken, "told once")
		p.Wake()
		_, woken, err = p.Wait(0)
		require.NoError(t, err)
		assert.True(t, woken, "told to a look")

		var wg sync.WaitGroup
		for range 200 {
			wg.Go(p.Wake)
			tags, woken := server.wait(-1)
			assert.True(t, woken, "during the wait")
			assert.Empty(t, tags)
		}
		wg.Wait()

		client.send(server.addr(), []byte("x"))
		p.Wake()
		tags, woken := server.wait(patience)
		for len(tags) == 0 { // the portable reader may be late
			tags, _ = server.wait(patience)
			woken = true
		}
		assert.Equal(t, []uint32{7}, tags)
		assert.True(t, woken)
	})
}

// Mailboxes depend on this: what was posted before Wake is seen by the owner
// after a Wait, however the two interleave.
func TestWakeIsNeverLost(t *testing.T) {
	for _, impl := range implementations {
		t.Run(impl.name, func(t *testing.T) {
			p, err := impl.poller()
			require.NoError(t, err)
			const posts = 5000
			box := make(chan int, 2*posts)
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					for i := range posts {
						box <- i
						p.Wake()
					}
				})
			}
			for got := 0; got < 2*posts; {
				_, woken, err := p.Wait(patience)
				require.NoError(t, err)
				for woken && len(box) > 0 {
					<-box
					got++
				}
			}
			wg.Wait()
			p.Close()
		})
	}
}

func TestPollerClose(t *testing.T) {
	for _, impl := range implementations {
		t.Run(impl.name, func(t *testing.T) {
			p, err := impl.poller()
			require.NoError(t, err)
			c, err := impl.listen(netip.MustParseAddrPort("127.0.0.1:0"), Options{})
			require.NoError(t, err)
			defer c.Close()
			require.NoError(t, p.Add(c, 1))
			p.Close()
			p.Close()
			p.Wake()
			_, _, err = p.Wait(-1)
			assert.ErrorIs(t, err, net.ErrClosed)
			assert.ErrorIs(t, p.Add(c, 1), net.ErrClosed)
			p.Remove(c)
		})
	}
}

// What is posted is returned once for each time, also to a sleeping owner.
func TestPost(t *testing.T) {
	for _, impl := range implementations {
		t.Run(impl.name, func(t *testing.T) {
			p, err := impl.poller()
			require.NoError(t, err)
			defer p.Close()
			p.Post(3)
			p.Post(4)
			tags, woken, err := p.Wait(-1)
			require.NoError(t, err)
			assert.True(t, woken)
			assert.Equal(t, []uint32{3, 4}, tags)
			tags, _, err = p.Wait(0)
			require.NoError(t, err)
			assert.Empty(t, tags)

			const posts = 2000
			var wg sync.WaitGroup
			for tag := range uint32(2) {
				wg.Go(func() {
					for range posts {
						p.Post(tag)
					}
				})
			}
			var got [2]int
			for end := time.Now().Add(patience); got[0]+got[1] < 2*posts && time.Now().Before(end); {
				tags, _, err := p.Wait(patience)
				require.NoError(t, err)
				for _, tag := range tags {
					got[tag]++
				}
			}
			wg.Wait()
			assert.Equal(t, [2]int{posts, posts}, got)
		})
	}
}

func TestPortablePollerHasNoStreams(t *testing.T) {
	p, err := NewPortablePoller()
	require.NoError(t, err)
	require.ErrorIs(t, p.AddStream(0, 1), ErrNoStreams)
	require.ErrorIs(t, p.SetWritable(0, 1, true), ErrNoStreams)
	p.RemoveStream(0)
	p.Close()
	require.ErrorIs(t, p.AddStream(0, 1), net.ErrClosed)
}

// An owner lets others work now and then, whether it sleeps or not.
func TestPollerShare(t *testing.T) {
	for _, impl := range implementations {
		t.Run(impl.name, func(t *testing.T) {
			p, err := impl.poller()
			require.NoError(t, err)
			defer p.Close()
			now := int64(time.Hour)
			require.True(t, p.Share(now), "the first time")
			for i, tt := range []struct {
				sleep time.Duration
				after int64
				want  bool
			}{
				{0, 0, false}, {0, shareEvery - 1, false}, {0, 1, true}, {0, shareEvery - 1, false}, {0, 1, true},
				{time.Millisecond, shareEvery - 1, false}, {time.Millisecond, 1, true}, {time.Millisecond, 10 * shareEvery, true},
			} {
				_, _, err := p.Wait(tt.sleep)
				require.NoError(t, err)
				now += tt.after
				assert.Equal(t, tt.want, p.Share(now), i)
			}
		})
	}
}
