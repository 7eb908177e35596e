package listen

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/udp"
)

const patience = time.Minute

func TestServices(t *testing.T) {
	assert.Equal(t, "auth", Auth.String())
	assert.Equal(t, "acct", Acct.String())
	assert.Equal(t, "dynauth", DynAuth.String())
}

// All shards share a chosen port, and the rows are in the order asked for.
func TestUDP(t *testing.T) {
	asked := []Address{
		{Service: Auth, Addr: netip.MustParseAddrPort("127.0.0.1:0")},
		{Service: Acct, Addr: netip.MustParseAddrPort("127.0.0.1:0")},
		{Service: Auth, Addr: netip.MustParseAddrPort("[::1]:0")},
	}
	rows, err := UDP(asked, 3, 1<<16)
	require.NoError(t, err)
	defer Close(rows)
	require.Len(t, rows, 3)
	for _, row := range rows {
		require.Len(t, row, len(asked))
		for i, f := range row {
			assert.Equal(t, asked[i].Service, f.Service)
			assert.EqualValues(t, i, f.Index)
			assert.Equal(t, rows[0][i].Addr, f.Addr, "one port for all shards")
			assert.Equal(t, f.Addr, f.Conn.LocalAddr())
			assert.NotZero(t, f.Addr.Port())
		}
	}
	assert.NotEqual(t, rows[0][0].Addr.Port(), rows[0][1].Addr.Port())
}

// An answer leaves by the address the request came to, also where the door
// is open on every address.
func TestAnswerLeavesByItsDoor(t *testing.T) {
	rows, err := UDP([]Address{{Service: Auth, Addr: netip.MustParseAddrPort("0.0.0.0:0")}}, 1, 1<<16)
	require.NoError(t, err)
	defer Close(rows)
	f := rows[0][0]
	p, err := udp.NewPoller()
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, p.Add(f.Conn, 0))
	nas, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer func() { _ = nas.Close() }()
	door := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.77"), f.Addr.Port())
	_, err = nas.WriteToUDPAddrPort([]byte("request"), door)
	require.NoError(t, err)
	b := udp.NewBatch(4, 4097)
	n := 0
	for end := time.Now().Add(patience); n == 0 && time.Now().Before(end); {
		_, _, err = p.Wait(patience)
		require.NoError(t, err)
		n, err = f.Conn.Recv(b)
		require.NoError(t, err)
	}
	require.Equal(t, 1, n)
	f.Queue.Send([]byte("answer"), b.Addr(0), b.Local(0))
	f.Queue.Flush()
	buf := make([]byte, 100)
	require.NoError(t, nas.SetReadDeadline(time.Now().Add(patience)))
	n, from, err := nas.ReadFromUDPAddrPort(buf)
	require.NoError(t, err)
	assert.Equal(t, "answer", string(buf[:n]))
	assert.Equal(t, door, from)
}

// A door that cannot be opened leaves none open.
func TestUDPRefused(t *testing.T) {
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	busy := taken.LocalAddr().(*net.UDPAddr).AddrPort()
	free, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	first := free.LocalAddr().(*net.UDPAddr).AddrPort()
	require.NoError(t, free.Close())
	_, err = UDP([]Address{{Service: Auth, Addr: first}, {Service: Acct, Addr: busy}}, 2, 1<<16)
	require.ErrorContains(t, err, "for acct")
	again, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(first))
	require.NoError(t, err, "the first door is closed again")
	require.NoError(t, again.Close())
}
