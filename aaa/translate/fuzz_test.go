package translate

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// FuzzTranslate gives all translations packets and messages of strangers. What comes out
// must be whole.
func FuzzTranslate(f *testing.F) {
	for _, file := range []string{"outward.txt", "inward.txt", "dynamic.txt"} {
		for _, v := range readVectors(f, file) {
			if len(v.given) >= diameter.HeaderLen {
				f.Add(v.given, v.asked)
			}
		}
	}
	tr := New(NewSessions(ourName, ourKey))
	x := (&vector{keys: map[string]string{}}).terms()
	big, small := make([]byte, diameter.MaxLen), make([]byte, radius.MaxLen)
	f.Fuzz(func(t *testing.T, given, asked []byte) {
		var p, q radius.Packet
		var m, n, out diameter.Message
		whole := func(b []byte, why Reason) {
			if why != OK {
				return
			}
			length, fault := diameter.Frame(b)
			require.Equal(t, len(b), length)
			require.Equal(t, diameter.NoFault, fault)
			require.NotEqual(t, diameter.BadAVPLength, out.Parse(b))
		}
		packet := func(b []byte) {
			if b != nil {
				var again radius.Packet
				require.Contains(t, []radius.Reason{radius.OK, radius.TooManyAttributes}, again.Parse(b))
			}
		}
		parsed := p.Parse(given) == radius.OK
		asking := q.Parse(asked) == radius.OK
		if parsed {
			_, name := Destination(nil, &p, ourRealm)
			for _, app := range []uint32{diameter.AppNASREQ, diameter.AppSWm} {
				x.Application = app
				whole(tr.Access(big, &p, name, x))
			}
			x.Application = diameter.AppAccounting
			whole(tr.Accounting(big, &p, name, x))
			x.DestinationHost = []byte("h")
			whole(tr.Dynamic(big, &p, x))
			x.DestinationHost = nil
			tr.Sessions.Class(&p)
			tr.Sessions.State(&p)
		}
		if length, fault := diameter.Frame(given); fault == diameter.NoFault && length == len(given) && length > 0 {
			m.Parse(given)
			b, _ := tr.Request(small, &m, 1)
			packet(b)
			b, _ = tr.IntoDynamic(small, &m, ID{1, 2}, nil, 1)
			packet(b)
			if asking {
				b, _, _ = tr.Reply(small, &m, &Asked{Packet: &q, Application: m.Application, Named: true})
				packet(b)
				b, _ = tr.DynamicReply(small, &m, &q)
				packet(b)
			}
		}
		if length, fault := diameter.Frame(asked); parsed && fault == diameter.NoFault && length == len(asked) && length > 0 {
			if n.Parse(asked); n.Request() {
				whole(tr.Answer(big, &p, &n, x))
				whole(tr.DynamicAnswer(big, &p, &n, x))
			}
		}
	})
}
