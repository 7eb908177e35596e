package radius_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
)

// token makes the authenticator of a RADIUS/1.1 packet.
func token(n uint32) (a [16]byte) {
	radius.PutToken(&a, n)
	return a
}

func userPassword(t testing.TB, c *radius.Crypt, clear string, a [16]byte, s *radius.Secret) []byte {
	t.Helper()
	var b [128]byte
	n, ok := c.HideUserPassword(b[:], []byte(clear), &a, s)
	require.True(t, ok)
	return tlv(radius.UserPassword, b[:n])
}

// C85: what is hidden on one side is in clear on the other, and nothing else
// changes (RFC 9765 section 5.1).
func TestC85Requests(t *testing.T) {
	h := newHop()
	tok := token(0x01020304)
	chap := tlv(radius.CHAPPassword, fill(17))
	tests := map[string]struct {
		in, out    *radius.Secret
		from, want [][]byte
		why        radius.Reason
	}{
		"a password becomes clear":               {h.in, radius.Clear, [][]byte{text(1, "a"), userPassword(t, h.c, "secret", clientAuth, h.in)}, [][]byte{text(1, "a"), text(2, "secret")}, radius.OK},
		"one of 128 octets":                      {h.in, radius.Clear, [][]byte{userPassword(t, h.c, string(bytes.Repeat([]byte{'x'}, 128)), clientAuth, h.in)}, [][]byte{tlv(2, bytes.Repeat([]byte{'x'}, 128))}, radius.OK},
		"an empty one has one octet":             {h.in, radius.Clear, [][]byte{userPassword(t, h.c, "", clientAuth, h.in)}, [][]byte{{2, 3, 0}}, radius.OK},
		"one that cannot be hidden":              {h.in, radius.Clear, [][]byte{tlv(2, fill(15))}, nil, radius.BadUserPassword},
		"a clear one stays":                      {radius.Clear, radius.Clear, [][]byte{text(2, "secret")}, [][]byte{text(2, "secret")}, radius.OK},
		"a clear one of 129 octets is hidden no": {radius.Clear, h.out, [][]byte{tlv(2, fill(129))}, nil, radius.BadUserPassword},
		"a clear one of none":                    {radius.Clear, h.out, [][]byte{{2, 2}}, nil, radius.BadUserPassword},
		"the challenge was the authenticator":    {h.in, radius.Clear, [][]byte{chap}, [][]byte{chap, tlv(60, clientAuth[:])}, radius.OK},
		"there is no authenticator that was":     {radius.Clear, h.out, [][]byte{chap}, [][]byte{chap}, radius.OK},
		"vendors and unknown ones":               {h.in, radius.Clear, [][]byte{vsa(radius.VendorMicrosoft, sub(1, fill(50))), tlv(241, fill(9)), {26, 2}}, [][]byte{vsa(radius.VendorMicrosoft, sub(1, fill(50))), tlv(241, fill(9)), {26, 2}}, radius.OK},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := clientAuth
			if tt.in.IsClear() {
				in = token(7)
			}
			p := parse(t, plain(radius.AccessRequest, 9, in, tt.from...))
			out := homeAuth
			if tt.out.IsClear() {
				out = tok
			}
			why := h.c.ForwardRequest(&h.w, h.buf, p, 0, &out, tt.in, tt.out, []byte("own"))
			require.Equal(t, tt.why, why)
			if why != radius.OK {
				return
			}
			b := h.w.SignRequest(h.c, tt.out)
			got := parse(t, b)
			assert.Equal(t, out, *got.Authenticator())
			assert.Equal(t, !tt.out.IsClear(), got.Has(radius.MessageAuthenticator), "it is not sent there (RFC 9765 section 5.2)")
			assert.Equal(t, append(bytes.Join(tt.want, nil), text(radius.ProxyState, "own")...), attributes(t, b))
		})
	}
	t.Run("a clear one is hidden", func(t *testing.T) {
		in := token(7)
		p := parse(t, plain(radius.AccessRequest, 0, in, text(2, "secret"), tlv(80, fill(16))))
		require.Equal(t, radius.OK, h.c.ForwardRequest(&h.w, h.buf, p, 3, &homeAuth, radius.Clear, h.out, nil))
		got := parse(t, h.w.SignRequest(h.c, h.out))
		require.True(t, h.c.CheckMessageAuthenticator(got, h.out))
		v, _ := got.First(radius.UserPassword)
		var clear [128]byte
		n, ok := h.c.RevealUserPassword(clear[:], v, &homeAuth, h.out)
		require.True(t, ok)
		assert.Equal(t, "secret", string(clear[:n]))
	})
}

// C84: the identifier is zero, the token is that of the request, and what is
// behind it is zero too (RFC 9765 section 4).
func TestC84Token(t *testing.T) {
	h := newHop()
	in := token(0xfeedface)
	copy(in[4:], "reserved")
	for name, sign := range map[string]func() []byte{
		"one by one": func() []byte { return h.w.SignResponse(h.c, radius.Clear, &in) },
		"in a batch": func() []byte {
			g := radius.NewSignatures(4)
			b := g.Response(&h.w, radius.Clear, &in)
			require.Equal(t, 4, g.Room())
			g.Run()
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			h.w.Start(h.buf, radius.AccessReject, 0, false)
			b := sign()
			assert.Equal(t, []byte{3, 0, 0, 20, 0xfe, 0xed, 0xfa, 0xce}, b[:8])
			assert.Equal(t, make([]byte, 12), b[8:20])
			assert.Equal(t, uint32(0xfeedface), radius.Token(parse(t, b).Authenticator()))
		})
	}
	t.Run("of accounting", func(t *testing.T) {
		out := token(5)
		p := parse(t, plain(radius.AccountingRequest, 9, clientAuth, text(1, "a")))
		require.Equal(t, radius.OK, h.c.ForwardRequest(&h.w, h.buf, p, 0, &out, nil, radius.Clear, nil))
		for _, b := range [][]byte{h.w.SignAccounting(h.c, radius.Clear), radius.NewSignatures(1).Accounting(&h.w, radius.Clear)} {
			assert.Equal(t, uint32(5), binary.BigEndian.Uint32(b[4:]))
		}
	})
}

// C85: what came over TLS has been proved by TLS, with a Message-Authenticator that
// means nothing or without one (RFC 9765 section 5.2).
func TestClearProves(t *testing.T) {
	c, k := radius.NewCrypt(), radius.NewProofs(4)
	for name, b := range map[string][]byte{
		"without": plain(radius.AccountingRequest, 0, token(1)),
		"with":    plain(radius.AccountingRequest, 0, token(1), tlv(radius.MessageAuthenticator, make([]byte, 16))),
	} {
		t.Run(name, func(t *testing.T) {
			p, a := parse(t, b), token(1)
			k.Reset()
			ids := []int{k.MessageAuthenticator(p, radius.Clear), k.RequestAuthenticator(p, radius.Clear),
				k.Response(p, &a, radius.Clear), k.ResponseMessageAuthenticator(p, &a, radius.Clear)}
			k.Run()
			for _, id := range ids {
				assert.True(t, k.OK(id))
			}
			assert.False(t, k.OK(radius.NoProof))
			assert.True(t, c.CheckMessageAuthenticator(p, radius.Clear))
			assert.True(t, c.CheckRequestAuthenticator(p, radius.Clear))
			assert.True(t, c.CheckResponse(p, &a, radius.Clear))
			assert.True(t, c.CheckResponseMessageAuthenticator(p, &a, radius.Clear))
		})
	}
}

// C85: replies that carry keys, from a hop that hides to one that does not.
func TestC85Replies(t *testing.T) {
	h := newHop()
	s := []byte(secretIn)
	chapKeys := append(fill(23), 0) // ends in a zero that is part of it
	var hidden [32]byte
	_, ok := h.c.HideUserPassword(hidden[:], chapKeys, &homeAuth, h.in)
	require.True(t, ok)
	ms := func(subs ...[]byte) []byte { return vsa(radius.VendorMicrosoft, subs...) }
	tests := map[string]struct{ from, want [][]byte }{
		"a tunnel's password with a tag": {
			[][]byte{tlv(69, append([]byte{3}, salted(t, "tunnel", 0x8001, s, homeAuth)...))},
			[][]byte{text(69, "\x03tunnel")}},
		"a tag that is none": {
			[][]byte{tlv(69, append([]byte{0x41}, salted(t, "tunnel", 0x8001, s, homeAuth)...))},
			[][]byte{text(69, "\x00tunnel")}},
		"keys in one attribute": {
			[][]byte{ms(sub(16, salted(t, "sent", 0x8001, s, homeAuth)), sub(1, fill(3)), sub(17, salted(t, "recv", 0x8002, s, homeAuth)))},
			[][]byte{ms(sub(16, []byte("sent"))), ms(sub(1, fill(3))), ms(sub(17, []byte("recv")))}},
		"MS-CHAP-MPPE-Keys":       {[][]byte{ms(sub(12, hidden[:]))}, [][]byte{ms(sub(12, chapKeys))}},
		"what was hidden by none": {[][]byte{ms(sub(16, fill(7))), tlv(69, fill(4)), text(1, "a")}, [][]byte{text(1, "a")}},
		"of another secret":       {[][]byte{tlv(69, append([]byte{3}, salted(t, "tunnel", 0x8001, []byte("another"), homeAuth)...))}, nil},
		"an empty one":            {[][]byte{{69, 2}}, [][]byte{{69, 2}}},
		"a User-Password of it":   {[][]byte{tlv(2, fill(15))}, [][]byte{tlv(2, fill(15))}},
		"no keys of Microsoft's":  {[][]byte{ms(sub(1, fill(3)), sub(2, fill(3)))}, [][]byte{ms(sub(1, fill(3)), sub(2, fill(3)))}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := token(11)
			p := parse(t, plain(radius.AccessAccept, 9, homeAuth, tt.from...))
			why := h.c.ForwardResponse(&h.w, h.buf, p, 0, &homeAuth, &in, h.in, radius.Clear, nil, nil, nil)
			require.Equal(t, radius.OK, why)
			b := bytes.Clone(h.w.SignResponse(h.c, radius.Clear, &in))
			assert.Equal(t, string(bytes.Join(tt.want, nil)), string(attributes(t, b)))
			assert.False(t, parse(t, b).Has(radius.MessageAuthenticator))
			// And back: what could be read can be read again.
			why = h.c.ForwardResponse(&h.w, make([]byte, radius.MaxLen), parse(t, b), 4, &in, &homeAuth, radius.Clear, h.in, nil, nil, nil)
			require.Equal(t, radius.OK, why)
			back := parse(t, h.w.SignResponse(h.c, h.in, &homeAuth))
			require.True(t, h.c.CheckResponse(back, &homeAuth, h.in))
			require.True(t, h.c.CheckResponseMessageAuthenticator(back, &homeAuth, h.in))
			why = h.c.ForwardResponse(&h.w, h.buf, back, 0, &homeAuth, &in, h.in, radius.Clear, nil, nil, nil)
			require.Equal(t, radius.OK, why)
			assert.Equal(t, attributes(t, b), attributes(t, h.w.SignResponse(h.c, radius.Clear, &in)))
		})
	}
}

// C85: a CoA-Request is a reply in reverse: its keys cross over too.
func TestC85CoA(t *testing.T) {
	h := newHop()
	out := token(3)
	p := parse(t, plain(radius.CoARequest, 9, clientAuth, tlv(69, append([]byte{1}, salted(t, "tunnel", 0x8001, []byte(secretIn), [16]byte{})...))))
	require.Equal(t, radius.OK, h.c.ForwardRequest(&h.w, h.buf, p, 0, &out, h.in, radius.Clear, nil))
	b := bytes.Clone(h.w.SignAccounting(h.c, radius.Clear))
	assert.Equal(t, text(69, "\x01tunnel"), attributes(t, b))
	require.Equal(t, radius.OK, h.c.ForwardRequest(&h.w, make([]byte, radius.MaxLen), parse(t, b), 8, nil, radius.Clear, h.out, nil))
	back := parse(t, h.w.SignAccounting(h.c, h.out))
	assert.True(t, h.c.CheckMessageAuthenticator(back, h.out), "where none can come, one is made")
	assert.True(t, h.c.CheckRequestAuthenticator(back, h.out))
}

// C81, C87: Protocol-Error says which packet it answers, but not where the Token
// does.
func TestC87ProtocolError(t *testing.T) {
	h := newHop()
	h.w.StartProtocolError(h.buf, 5, radius.AccountingRequest, 406, h.in)
	b := h.w.SignResponse(h.c, h.in, &clientAuth)
	assert.Equal(t, append([]byte{241, 7, 4, 0, 0, 0, 4}, 101, 6, 0, 0, 1, 150), attributes(t, b))
	assert.Equal(t, byte(radius.MessageAuthenticator), b[radius.HeaderLen], "it comes first (C47)")
	in := token(9)
	h.w.StartProtocolError(h.buf, 0, radius.AccountingRequest, 406, radius.Clear)
	assert.Equal(t, []byte{101, 6, 0, 0, 1, 150}, attributes(t, h.w.SignResponse(h.c, radius.Clear, &in)))
}

// An answer that grows on its way is refused where it does not fit, not cut.
func TestCrossOverflow(t *testing.T) {
	h := newHop()
	in := token(3)
	keys := vsa(radius.VendorMicrosoft, sub(16, fill(32)), sub(17, fill(32)))
	for n := radius.MaxLen - radius.HeaderLen - len(keys); n > radius.MaxLen-300; n-- {
		p := parse(t, plain(radius.AccessAccept, 0, in, filler(n), keys))
		why := h.c.ForwardResponse(&h.w, h.buf, p, 1, &in, &clientAuth, radius.Clear, h.in, nil, nil, nil)
		const more = 18 + 2*(50+8) + 8 - 8 // Message-Authenticator; salts, lengths and padding
		if full := radius.HeaderLen + n + more; (why == radius.Overflow) != (full > radius.MaxLen) {
			t.Fatalf("%d octets: %s", full, why)
		}
	}
}
