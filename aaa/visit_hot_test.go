package aaa

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
)

// visiting is a round of PAP that comes over TLS and goes on over UDP.
type visiting struct {
	*hot
	p      *peer
	c      *conn
	secret *radius.Secret
	in     [8192]byte
}

func newVisiting(t tester, versions ...string) *visiting {
	n := newTenant(t, "tenant")
	h := newHotOf(t, n.overTLS(nil, versions...))
	v := &visiting{hot: h, p: h.visit(n.nas(), speaking(versions...)), secret: radius.NewSecret([]byte(radsec))}
	v.c = h.theConn()
	if v.c.clear {
		v.secret = radius.Clear
	}
	return v
}

// request writes one; its octets leave in a TLS record.
func (v *visiting) request() {
	w := v.begin(radius.AccessRequest)
	if v.secret == radius.Clear {
		v.w.Start(v.buf[:], radius.AccessRequest, 0, false)
		radius.PutToken(&v.auth, uint32(v.serial))
		v.w.SetAuthenticator(&v.auth)
	}
	w.Raw(papRequest)
	_, _ = v.p.Write(w.SignRequest(v.crypt, v.secret))
}

// carry has the shard read the request, the home answer it and the answer
// leave.
func (v *visiting) carry() {
	for v.shard.slab.used == 0 {
		v.shard.readConn(v.c)
	}
	v.answer(radius.AccessAccept, accept)
	v.shard.flush()
}

func (v *visiting) take() {
	n, _ := v.p.Read(v.in[:])
	if n < 20 || v.in[0] != byte(radius.AccessAccept) {
		panic("no answer")
	}
}

// TestAllocVisit: a request over TLS and its answer cost the hub nothing but what
// crypto/tls allocates for each record that it reads, a reader of 24 octets. The
// far end is in the same process and reads one too.
func TestAllocVisit(t *testing.T) {
	if raced {
		return // allocates by itself
	}
	for _, tt := range []struct {
		name     string
		versions []string
	}{{"1.0", []string{radius10}}, {"1.1", []string{radius11}}} {
		t.Run(tt.name, func(t *testing.T) {
			v := newVisiting(t, tt.versions...)
			round := func() { v.request(); v.carry(); v.take() }
			for range 2000 {
				round()
			}
			require.Equal(t, 2000, v.value("roamgate_responses_total", "client", "secured", "result", "accept"))
			assert.LessOrEqual(t, testing.AllocsPerRun(500, round), 2.0)
		})
	}
}

func BenchmarkVisit(b *testing.B) {
	for _, version := range []string{radius10, radius11} {
		b.Run(version, func(b *testing.B) {
			v := newVisiting(b, version)
			b.ReportAllocs()
			for b.Loop() {
				v.request()
				v.carry()
				v.take()
			}
		})
	}
}
