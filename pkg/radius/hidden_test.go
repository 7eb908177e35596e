package radius_test

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"

	"github.com/roamgate/roamgate/pkg/radius"
)

// reveal is RFC 2865 section 5.2 and RFC 2868 section 3.5 in the plainest words.
func reveal(value, secret, auth, salt []byte) (clear []byte) {
	before := append(append([]byte(nil), auth...), salt...)
	for ; len(value) > 0; value = value[16:] {
		key := md5.Sum(append(append([]byte(nil), secret...), before...))
		for i, v := range value[:16] {
			clear = append(clear, v^key[i])
		}
		before = value[:16]
	}
	return clear
}

// The examples of RFC 2865 section 7.
func TestRFC2865Examples(t *testing.T) {
	secret := []byte("xyzzy5461")
	c, s := radius.NewCrypt(), radius.NewSecret(secret)
	pap := parse(t, octets(t, "01 00 0038 0f403f9473978057bd83d5cb98f4227a 01066e656d6f 02120dbe708d93d413ce3196e43f782a0aee 0406c0a80110 050600000003"))
	papReply := parse(t, octets(t, "02 00 0026 86fe220e7624ba2a1005f6bf9b55e0b2 060600000001 0f0600000000 0e06c0a80103"))
	chap := parse(t, octets(t, "01 01 0047 2aee86f08d0d55969ca5978e0d3367a2 0108666c6f707379 031316e97557c316185895f293ff634407727504 06c0a80110 050600000014 060600000002 070600000001"))
	chapReply := parse(t, octets(t, "02 01 0038 15efbc7dab26cfa3dc34d9c03c8601a4 060600000002 070600000001 0806fffffffe 0a0600000002 0d0600000001 0c06000005dc"))

	value, ok := pap.First(radius.UserPassword)
	require.True(t, ok)
	clear := make([]byte, 128)
	n, ok := c.RevealUserPassword(clear, value, pap.Authenticator(), s)
	require.True(t, ok)
	assert.Equal(t, "arctangent", string(clear[:n]))
	hidden := make([]byte, 128)
	n, ok = c.HideUserPassword(hidden, clear[:n], pap.Authenticator(), s)
	require.True(t, ok)
	assert.Equal(t, value, hidden[:n])
	assert.True(t, c.CheckResponse(papReply, pap.Authenticator(), s))
	assert.True(t, c.CheckResponse(chapReply, chap.Authenticator(), s))
	assert.False(t, c.CheckResponse(chapReply, pap.Authenticator(), s))
}

func TestUserPasswordAgainstOracle(t *testing.T) {
	c, a := radius.NewCrypt(), auth(5)
	for _, secret := range [][]byte{secretIn, secretOut, []byte("s"), bytes.Repeat([]byte("long"), 100)} {
		s := radius.NewSecret(secret)
		for n := range 130 {
			clear, hidden := bytes.Repeat([]byte{'p'}, n), make([]byte, 160)
			h, ok := c.HideUserPassword(hidden, clear, &a, s)
			want, err := layeh.NewUserPassword(clear, secret, a[:])
			require.Equal(t, err == nil, ok, n)
			if !ok {
				continue
			}
			require.Equal(t, []byte(want), hidden[:h])
			back := make([]byte, 128)
			r, ok := c.RevealUserPassword(back, hidden[:h], &a, s)
			require.True(t, ok)
			require.Equal(t, clear, back[:r])
		}
	}
	for _, size := range []int{0, 1, 15, 17, 129, 144, 253} {
		_, ok := c.RevealUserPassword(make([]byte, 256), make([]byte, size), &a, radius.NewSecret(secretIn))
		assert.False(t, ok, size)
	}
	_, ok := c.RevealUserPassword(make([]byte, 15), make([]byte, 16), &a, radius.NewSecret(secretIn))
	assert.False(t, ok, "dst too short")
	_, ok = c.HideUserPassword(make([]byte, 15), nil, &a, radius.NewSecret(secretIn))
	assert.False(t, ok, "dst too short")
}

func TestSaltedAgainstOracle(t *testing.T) {
	c, a, salt := radius.NewCrypt(), auth(6), [2]byte{0x91, 0x17}
	for _, secret := range [][]byte{secretIn, secretOut} {
		s := radius.NewSecret(secret)
		for n := range 245 {
			clear, hidden := bytes.Repeat([]byte{'k'}, n), make([]byte, 256)
			h, ok := c.HideSalted(hidden, clear, salt, &a, s)
			require.Equal(t, n <= 239, ok, n)
			if !ok {
				continue
			}
			want, err := layeh.NewTunnelPassword(clear, salt[:], secret, a[:])
			require.NoError(t, err)
			require.Equal(t, []byte(want)[2:], hidden[:h])
			back := make([]byte, 256)
			r, ok := c.RevealSalted(back, hidden[:h], salt, &a, s)
			require.True(t, ok)
			require.Equal(t, clear, back[:r])
		}
	}
	s := radius.NewSecret(secretIn)
	for _, size := range []int{0, 1, 15, 17, 253} {
		_, ok := c.RevealSalted(make([]byte, 256), make([]byte, size), salt, &a, s)
		assert.False(t, ok, size)
	}
	hidden := make([]byte, 16)
	_, ok := c.HideSalted(hidden, []byte("0123456789abcde"), salt, &a, s)
	require.True(t, ok)
	_, ok = c.HideSalted(make([]byte, 15), nil, salt, &a, s)
	assert.False(t, ok, "dst too short")
	_, ok = c.RevealSalted(make([]byte, 15), hidden, salt, &a, s)
	assert.False(t, ok, "dst too short")
	// A length that contradicts the size, as after a wrong secret.
	key := reveal(make([]byte, 16), secretIn, a[:], salt[:])
	key[0] ^= 16
	_, ok = c.RevealSalted(make([]byte, 16), key, salt, &a, s)
	assert.False(t, ok)
}

// hiddenIn lists what a reply hides: type, tag, salt and clear octets.
type hiddenIn struct {
	kind string
	salt uint16
	open string
}

func hiddenOf(t testing.TB, b, secret, auth []byte) (all []hiddenIn) {
	t.Helper()
	p := parse(t, b)
	add := func(kind string, v []byte) {
		if len(v) > 2 && (len(v)-2)%16 == 0 {
			all = append(all, hiddenIn{kind, binary.BigEndian.Uint16(v), string(reveal(v[2:], secret, auth, v[:2]))})
		}
	}
	for a, off, ok := p.Next(radius.HeaderLen); ok; a, off, ok = p.Next(off) {
		switch v := a.Value(); {
		case a.Type == radius.TunnelPassword && len(v) > 0:
			add(fmt.Sprintf("tunnel tag %d", v[0]), v[1:])
		case a.Type == radius.VendorSpecific && clean(v):
			for subs := v[4:]; len(subs) > 0; subs = subs[subs[1]:] {
				switch sub := subs[2:subs[1]]; {
				case subs[0] == 16 || subs[0] == 17:
					add(fmt.Sprintf("mppe %d", subs[0]), sub)
				case subs[0] == 12 && len(sub) > 0 && len(sub)%16 == 0:
					all = append(all, hiddenIn{"chap-mppe", 0, string(reveal(sub, secret, auth, nil))})
				}
			}
		}
	}
	return all
}

// clean reports whether v is Microsoft's and whole sub-attributes.
func clean(v []byte) bool {
	if len(v) < 6 || binary.BigEndian.Uint32(v) != 311 {
		return false
	}
	for subs := v[4:]; len(subs) > 0; subs = subs[subs[1]:] {
		if len(subs) < 2 || subs[1] < 2 || int(subs[1]) > len(subs) {
			return false
		}
	}
	return true
}

func sub(t uint8, value []byte) []byte { return append([]byte{t, byte(2 + len(value))}, value...) }

func salted(t testing.TB, open string, salt uint16, secret []byte, a [16]byte) []byte {
	t.Helper()
	b := binary.BigEndian.AppendUint16(nil, salt)
	v, err := layeh.NewTunnelPassword([]byte(open), []byte{0x80 | b[0], b[1]}, secret, a[:])
	require.NoError(t, err)
	return v
}

// C11, C12: every hidden value of a reply is the same in the clear on both
// sides, under fresh salts that are unique in the packet and have the high bit.
func TestForwardResponseHidden(t *testing.T) {
	for _, tt := range []struct {
		name    string
		in, out []byte
	}{
		{"other secret", secretIn, secretOut},
		{"equal secrets", secretOut, secretOut},
	} {
		t.Run(tt.name, func(t *testing.T) {
			password := tlv(radius.TunnelPassword, append([]byte{1}, salted(t, "tunnel one", 7, tt.in, homeAuth)...))
			untagged := tlv(radius.TunnelPassword, append([]byte{0}, salted(t, "", 7, tt.in, homeAuth)...))
			send := sub(radius.MSMPPESendKey, salted(t, "0123456789abcdef0123456789abcdef", 8, tt.in, homeAuth))
			recv := sub(radius.MSMPPERecvKey, salted(t, "fedcba9876543210fedcba9876543210", 9, tt.in, homeAuth))
			keys, err := layeh.NewUserPassword(fill(24), tt.in, homeAuth[:])
			require.NoError(t, err)
			b := plain(radius.AccessAccept, 1, auth(1),
				text(radius.UserName, "a@b.c"), password, untagged, password,
				vsa(311, send), vsa(311, recv), vsa(311, sub(7, []byte{0, 0, 0, 1}), send, recv),
				vsa(311, sub(radius.MSCHAPMPPEKeys, keys)), vsa(9, sub(16, fill(18))),
				text(radius.Class, "class"))
			p := parse(t, b)
			out, why := forwardResponse(p, tt.in, tt.out)
			require.Equal(t, radius.OK, why)

			want, got := hiddenOf(t, b, tt.in, homeAuth[:]), hiddenOf(t, out, tt.out, clientAuth[:])
			require.Len(t, got, len(want))
			require.Len(t, got, 8)
			salts := map[uint16]bool{}
			for i := range got {
				assert.Equal(t, want[i].kind, got[i].kind)
				assert.Equal(t, want[i].open, got[i].open, got[i].kind)
				if got[i].kind == "chap-mppe" {
					continue
				}
				assert.False(t, salts[got[i].salt], "unique")
				assert.NotZero(t, got[i].salt&0x8000, "high bit")
				salts[got[i].salt] = true
			}
			q := parse(t, out)
			assert.Equal(t, p.Len()+2, q.Len(), "Message-Authenticator and Proxy-State came along")
			v, _ := q.First(radius.TunnelPassword)
			open, _, err := layeh.TunnelPassword(layeh.Attribute(v[1:]), tt.out, clientAuth[:])
			require.NoError(t, err)
			assert.Equal(t, "tunnel one", string(open))
			foreign, _ := q.Vendor(9, 16)
			assert.Equal(t, fill(18), foreign)
			again, _ := forwardResponse(p, tt.in, tt.out)
			assert.NotEqual(t, out, again, "fresh salts")
		})
	}
}

// A salt without the high bit, and one that repeats, are a home's fault that is
// mended on the way (R106).
func TestForwardResponseMendsSalts(t *testing.T) {
	v := fill(18)
	v[0] &= 0x7f
	b := plain(radius.AccessAccept, 1, auth(1), tlv(radius.TunnelPassword, append([]byte{2}, v...)))
	out, why := forwardResponse(parse(t, b), secretIn, secretOut)
	require.Equal(t, radius.OK, why)
	got, want := hiddenOf(t, out, secretOut, clientAuth[:]), hiddenOf(t, b, secretIn, homeAuth[:])
	assert.Equal(t, want[0].open, got[0].open)
	assert.NotZero(t, got[0].salt&0x8000)
}

// In a CoA-Request, hidden values are hidden under an authenticator of zeros.
func TestForwardCoAHidden(t *testing.T) {
	v := salted(t, "for the NAS", 3, secretIn, [16]byte{})
	b := plain(radius.CoARequest, 1, auth(1), zeroMA, tlv(radius.TunnelPassword, append([]byte{1}, v...)))
	p := parse(t, b)
	out, why := forwardRequest(p)
	require.Equal(t, radius.OK, why)
	assertSigned(t, p, out)
	zero := make([]byte, 16)
	assert.Equal(t, hiddenOf(t, b, secretIn, zero)[0].open, hiddenOf(t, out, secretOut, zero)[0].open)
}

// filler makes attributes of exactly n octets in all.
func filler(n int) (b []byte) {
	for n > 0 {
		size := min(n, 255)
		if n-size == 1 {
			size--
		}
		b = append(b, tlv(radius.Class, fill(size-2))...)
		n -= size
	}
	return b
}

// A3: every hidden value at every size, at the end of a packet that is full.
func TestHiddenAtEverySizeInFullPackets(t *testing.T) {
	attrs := map[string]func(size int) []byte{
		"User-Password":     func(n int) []byte { return tlv(radius.UserPassword, fill(n)) },
		"Tunnel-Password":   func(n int) []byte { return tlv(radius.TunnelPassword, fill(n)) },
		"MS-MPPE-Send-Key":  func(n int) []byte { return vsa(311, sub(radius.MSMPPESendKey, fill(n))) },
		"MS-CHAP-MPPE-Keys": func(n int) []byte { return vsa(311, sub(radius.MSCHAPMPPEKeys, fill(n))) },
	}
	for name, attr := range attrs {
		t.Run(name, func(t *testing.T) {
			limit := radius.MaxValue
			if name[0] == 'M' {
				limit -= 6
			}
			for size := 0; size <= limit; size++ {
				for total := 4090; total <= radius.MaxLen; total++ {
					hidden := attr(size)
					rest := filler(total - radius.HeaderLen - len(zeroMA) - len(hidden))
					sweep(t, rest, hidden)
				}
			}
		})
	}
}

var (
	sweepBuf    = make([]byte, radius.MaxLen)
	sweepPacket radius.Packet
)

// sweep sends one packet both ways; with its Message-Authenticator in, it has
// the size it will have out, so all that may change is hidden.
func sweep(t *testing.T, rest, hidden []byte) {
	t.Helper()
	var w radius.Writer
	in, out := hopSecret[string(secretIn)], hopSecret[string(secretOut)]
	require.Equal(t, radius.OK, sweepPacket.Parse(plain(radius.AccessRequest, 1, auth(1), rest, hidden, zeroMA)))
	why := hopCrypt.ForwardRequest(&w, sweepBuf, &sweepPacket, 9, &newAuth, in, out, nil)
	n := len(hidden) - 2
	if hidden[0] == byte(radius.UserPassword) && (n == 0 || n%16 != 0 || n > 128) {
		require.Equal(t, radius.BadUserPassword, why)
	} else {
		require.Equal(t, radius.OK, why)
		b := w.SignRequest(hopCrypt, out)
		require.Len(t, b, len(sweepPacket.Bytes()))
		require.True(t, bytes.Equal(rest, b[38:38+len(rest)]))
		if hidden[0] == byte(radius.UserPassword) {
			before := sweepPacket.Authenticator()
			require.Equal(t, reveal(hidden[2:], secretIn, before[:], nil), reveal(b[38+len(rest)+2:], secretOut, newAuth[:], nil))
		}
	}
	require.Equal(t, radius.OK, sweepPacket.Parse(plain(radius.AccessAccept, 1, auth(1), rest, hidden, zeroMA)))
	require.Equal(t, radius.OK, hopCrypt.ForwardResponse(&w, sweepBuf, &sweepPacket, 9, &homeAuth, &clientAuth, in, out, nil, nil, nil))
	b := w.SignResponse(hopCrypt, out, &clientAuth)
	require.Len(t, b, len(sweepPacket.Bytes()))
	require.True(t, bytes.Equal(rest, b[38:38+len(rest)]))
	want := hiddenOf(t, plain(radius.AccessAccept, 1, auth(1), hidden), secretIn, homeAuth[:])
	got := hiddenOf(t, plain(radius.AccessAccept, 1, auth(1), b[38+len(rest):]), secretOut, clientAuth[:])
	require.Len(t, got, len(want))
	for i := range got {
		require.Equal(t, want[i].kind, got[i].kind)
		require.Equal(t, want[i].open, got[i].open)
	}
}
