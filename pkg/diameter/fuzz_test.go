package diameter_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/diameter/dict"
)

func seed(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.Raw)
	}
	f.Add(nested(f, 17))
	f.Add(nested(f, 500))
}

// framed gives b a header that is taken, so that the fuzzer's octets reach what lies
// behind it.
func framed(b []byte) []byte {
	if len(b) < diameter.HeaderLen || len(b) > diameter.MaxLen {
		return nil
	}
	b = bytes.Clone(b[:len(b)&^3])
	b[0] = 1
	b[1], b[2], b[3] = byte(len(b)>>16), byte(len(b)>>8), byte(len(b))
	return b
}

// split is the naive walk: it allocates, recurses and looks at each octet once more.
func split(b []byte) (avps [][]byte, rest []byte) {
	for len(b) > 0 {
		if len(b) < 8 {
			return avps, b
		}
		n := int(b[5])<<16 + int(b[6])<<8 + int(b[7])
		head := 8
		if b[4]&0x80 != 0 {
			head = 12
		}
		if n < head || n > len(b) {
			return avps, b
		}
		end := n
		for end%4 != 0 && end < len(b) {
			end++
		}
		avps = append(avps, b[:end])
		b = b[end:]
	}
	return avps, nil
}

func is(avp []byte, code, vendor uint32) bool {
	v := uint32(0)
	if avp[4]&0x80 != 0 {
		v = binary.BigEndian.Uint32(avp[8:])
	}
	return binary.BigEndian.Uint32(avp) == code && v == vendor
}

func value(avp []byte) []byte {
	n := int(avp[5])<<16 + int(avp[6])<<8 + int(avp[7])
	if avp[4]&0x80 != 0 {
		return avp[12:n]
	}
	return avp[8:n]
}

func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		var m diameter.Message
		if n, fault := diameter.Frame(b); fault == diameter.NoFault && n >= diameter.HeaderLen && n <= len(b) {
			m.Parse(b[:n])
		}
		if b = framed(b); b == nil {
			return
		}
		was := bytes.Clone(b)
		fault := m.Parse(b)
		avps, rest := split(b[diameter.HeaderLen:])
		if fault == diameter.NoFault || fault == diameter.BadValue || fault == diameter.NoSessionID {
			require.Nil(t, rest)
			require.Equal(t, len(avps), m.AVPs)
			for k, code := range map[diameter.Known]uint32{diameter.KnownSessionID: 263, diameter.KnownOriginHost: 264, diameter.KnownUserName: 1, diameter.KnownDestinationRealm: 283} {
				i := slices.IndexFunc(avps, func(a []byte) bool { return is(a, code, 0) })
				require.Equal(t, i >= 0, m.Has(k))
				if i >= 0 {
					require.Equal(t, value(avps[i]), m.Value(k))
					at, end := m.Span(k)
					require.Equal(t, avps[i], b[at:end])
				}
			}
			routes := 0
			for _, a := range avps {
				if is(a, diameter.RouteRecord, 0) {
					routes++
				}
			}
			require.Equal(t, routes, m.Routes)
		}
		if rest != nil {
			require.NotEqual(t, diameter.NoFault, fault)
		}
		// Whatever is wrong, the answer is a good message and says whose it is.
		out := answer(&m, 5012)
		if out == nil {
			return // more Proxy-Infos than an answer has room for
		}
		var back diameter.Message
		require.Equal(t, diameter.NoFault, back.Parse(out), "%s", dict.Format(out))
		require.Equal(t, m.HopByHop, back.HopByHop)
		require.Equal(t, m.EndToEnd, back.EndToEnd)
		require.Equal(t, m.Command, back.Command)
		require.False(t, back.Request())
		require.Equal(t, was, b, "nobody writes to what was received")
	})
}

func FuzzEdit(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.Raw, uint8(1), []byte("another.example"))
	}
	f.Fuzz(func(t *testing.T, b []byte, which uint8, v []byte) {
		if b = framed(b); b == nil || len(v) > 4096 {
			return
		}
		avps, rest := split(b[diameter.HeaderLen:])
		if rest != nil || len(avps) == 0 {
			return
		}
		room := make([]byte, len(b)+len(v)+64)
		i := int(which) % len(avps)
		at := diameter.HeaderLen
		for _, a := range avps[:i] {
			at += len(a)
		}
		var w diameter.Writer
		w.Copy(room, b)
		w.Replace(at, v)
		old := avps[i]
		head := old[:len(old)-len(old[8:])]
		if old[4]&0x80 != 0 {
			head = old[:12]
		}
		changed := append(bytes.Clone(head), v...)
		n := len(changed)
		changed[5], changed[6], changed[7] = byte(n>>16), byte(n>>8), byte(n)
		changed = append(changed, make([]byte, -n&3)...)
		want := bytes.Join([][]byte{bytes.Join(avps[:i], nil), changed, bytes.Join(avps[i+1:], nil)}, nil)
		out := w.Finish()
		if len(want)+diameter.HeaderLen > diameter.MaxLen {
			require.Nil(t, out)
			return
		}
		require.Equal(t, want, out[diameter.HeaderLen:])
		require.Equal(t, len(out), diameter.ReadHeader(out).Length)

		w.Cut(at, at+len(changed))
		out = w.Finish()
		require.Equal(t, bytes.Join([][]byte{bytes.Join(avps[:i], nil), bytes.Join(avps[i+1:], nil)}, nil), out[diameter.HeaderLen:])
		require.Equal(t, b[4:diameter.HeaderLen], out[4:diameter.HeaderLen])

		w.Copy(room[:len(b)], b)
		w.String(diameter.RouteRecord, 0, diameter.AVPMandatory, "peer.example")
		require.Nil(t, w.Finish(), "there is no room for it")
		w.Copy(room[:len(b)-1], b)
		require.Nil(t, w.Finish())
	})
}
