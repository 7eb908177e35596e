package radius_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"

	"github.com/roamgate/roamgate/pkg/radius"
)

// differences lists where Parse refuses what layeh.com/radius takes. There is
// none the other way round.
var differences = map[radius.Reason]string{
	radius.BadCode:           "layeh takes any code; nobody could answer these (R024, R025)",
	radius.DuplicateMA:       "layeh does not know Message-Authenticator (R034, RFC 3579 section 3.2)",
	radius.MALength:          "likewise; one of another size proves nothing",
	radius.TooManyAttributes: "layeh has no limit (A5)",
}

func seed(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(octets(f, v.octets))
	}
	h := newHop()
	f.Add(h.accessRequest(h.password(h.clientAuth)))
	f.Add(h.accountingStop())
	f.Add(h.accept(f))
	f.Add(plain(radius.AccessAccept, 1, auth(1), tlv(radius.TunnelPassword, fill(19)), vsa(311, sub(16, fill(34)), sub(12, fill(32)))))
	f.Add(plain(radius.CoARequest, 1, auth(1), zeroMA, tlv(radius.TunnelPassword, fill(35))))
}

// framed gives b a header that is taken, so that the fuzzer's octets reach what
// lies behind it.
func framed(b []byte, codes ...radius.Code) []byte {
	if len(b) < radius.HeaderLen || len(b) > radius.MaxLen {
		return b
	}
	b = bytes.Clone(b)
	b[0] = byte(codes[int(b[0])%len(codes)])
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// FuzzParse: same octets taken as by layeh, and the same attributes seen.
func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		var p radius.Packet
		why := p.Parse(b)
		oracle, err := layeh.Parse(b, []byte("x"))
		if why != radius.OK {
			if err == nil && differences[why] == "" {
				t.Fatalf("%s, but layeh takes %x", why, b)
			}
			return
		}
		if err != nil {
			t.Fatalf("taken, but layeh says %v: %x", err, b)
		}
		comparePacket(t, &p, oracle)
	})
}

func comparePacket(t *testing.T, p *radius.Packet, oracle *layeh.Packet) {
	i := 0
	for a, off, ok := p.Next(radius.HeaderLen); ok; a, off, ok = p.Next(off) {
		want := oracle.Attributes[i]
		if int(a.Type) != int(want.Type) || !bytes.Equal(a.Value(), want.Attribute) {
			t.Fatalf("attribute %d is %v, not %v", i, a, want)
		}
		i++
	}
	if i != len(oracle.Attributes) || i != p.Len() {
		t.Fatalf("%d attributes, not %d", i, len(oracle.Attributes))
	}
	for n := range 256 {
		v, ok := p.First(radius.Type(n))
		want, wantOK := oracle.Lookup(layeh.Type(n))
		if ok != wantOK || ok != p.Has(radius.Type(n)) || !bytes.Equal(v, want) {
			t.Fatalf("type %d is %x, not %x", n, v, want)
		}
	}
	again, err := oracle.MarshalBinary()
	if err != nil || !bytes.Equal(again, p.Bytes()) {
		t.Fatalf("%x written again is %x", p.Bytes(), again)
	}
	p.EAP()
	p.Vendor(radius.VendorMicrosoft, radius.MSMPPESendKey)
	p.Vendor(0, 0)
}

// FuzzForwardRequest: every request that is taken goes on as the model says, or
// is refused for the reason the model gives.
func FuzzForwardRequest(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		var p radius.Packet
		b = framed(b, radius.AccessRequest, radius.AccountingRequest, radius.CoARequest, radius.DisconnectRequest, radius.AccessAccept)
		if p.Parse(b) != radius.OK {
			return
		}
		before := bytes.Clone(p.Bytes())
		got, why := forwardRequest(&p)
		if !bytes.Equal(before, p.Bytes()) {
			t.Fatal("the input was touched")
		}
		if request, _ := p.Code().Forwardable(); !request {
			require.Equal(t, radius.BadCode, why)
			return
		}
		want, ok := modelRequest(t, &p)
		if !ok {
			if why != radius.BadUserPassword && why != radius.Overflow {
				t.Fatalf("%s for a bad User-Password: %x", why, b)
			}
			return
		}
		size := radius.HeaderLen + len(want)
		if signsRequest(&p) {
			size += len(zeroMA)
		}
		if (size > radius.MaxLen) != (why == radius.Overflow) {
			t.Fatalf("%s for %d octets", why, size)
		}
		if why == radius.OK && emittable(got) {
			assertSigned(t, &p, got)
			require.Equal(t, want, open(t, got))
		}
	})
}

// emittable: a packet that came with the most attributes leaves with more.
func emittable(b []byte) bool {
	var p radius.Packet
	return p.Parse(b) != radius.TooManyAttributes
}

func signsRequest(p *radius.Packet) bool {
	switch p.Code() {
	case radius.AccessRequest:
		return true
	case radius.AccountingRequest:
		return false
	}
	return p.Has(radius.MessageAuthenticator)
}

// modelRequest is what leaves for the request p, without Message-Authenticator
// and with hidden values in the clear (and salts as zeros).
func modelRequest(t *testing.T, p *radius.Packet) (want []byte, ok bool) {
	oracle, err := layeh.Parse(p.Bytes(), secretIn)
	require.NoError(t, err)
	oracle.Del(80)
	switch p.Code() {
	case radius.AccountingRequest:
		for _, drop := range []layeh.Type{2, 3, 18, 24, 79} {
			oracle.Del(drop)
		}
	case radius.AccessRequest:
	default:
		oracle.Del(2)
	}
	for _, avp := range oracle.Attributes {
		if n := len(avp.Attribute); avp.Type == 2 {
			if n == 0 || n > 128 || n%16 != 0 {
				return nil, false
			}
			avp.Attribute = reveal(avp.Attribute, secretIn, oracle.Authenticator[:], nil)
		}
	}
	if p.Code() == radius.CoARequest {
		openReply(oracle.Attributes, secretIn, make([]byte, 16))
	}
	if _, has := oracle.Lookup(3); has && p.Code() == radius.AccessRequest {
		if _, has := oracle.Lookup(60); !has {
			oracle.Add(60, oracle.Authenticator[:])
		}
	}
	oracle.Add(33, []byte(ownState))
	return encode(oracle.Attributes), true
}

// encode writes attributes without the limit on a packet.
func encode(as layeh.Attributes) (b []byte) {
	for _, a := range as {
		b = append(b, tlv(radius.Type(a.Type), a.Attribute)...)
	}
	return b
}

// open is a forwarded packet as the models give it.
func open(t *testing.T, b []byte) []byte {
	oracle, err := layeh.Parse(b, secretOut)
	require.NoError(t, err)
	oracle.Del(80)
	switch layeh.Code(b[0]) {
	case layeh.CodeAccessRequest:
		for _, avp := range oracle.Attributes {
			if avp.Type == 2 {
				avp.Attribute = reveal(avp.Attribute, secretOut, newAuth[:], nil)
			}
		}
	case layeh.CodeCoARequest:
		openReply(oracle.Attributes, secretOut, make([]byte, 16))
	}
	return encode(oracle.Attributes)
}

// openReply puts the clear octets in the place of what a reply hides.
func openReply(as layeh.Attributes, secret, auth []byte) {
	salted := func(v []byte) {
		if n := len(v) - 2; n > 0 && n%16 == 0 {
			copy(v[2:], reveal(v[2:], secret, auth, v[:2]))
			v[0], v[1] = 0, 0
		}
	}
	for _, a := range as {
		v := []byte(a.Attribute)
		switch {
		case a.Type == 69 && len(v) > 0:
			salted(v[1:])
		case a.Type == 26 && clean(v):
			for subs := v[4:]; len(subs) > 0; subs = subs[subs[1]:] {
				switch sub := subs[2:subs[1]]; {
				case subs[0] == 16 || subs[0] == 17:
					salted(sub)
				case subs[0] == 12 && len(sub) > 0 && len(sub)%16 == 0:
					copy(sub, reveal(sub, secret, auth, nil))
				}
			}
		}
	}
}

// FuzzForwardResponse: likewise for what a home answers, with other and with
// equal secrets.
func FuzzForwardResponse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		var p radius.Packet
		b = framed(b, radius.AccessAccept, radius.AccessReject, radius.AccessChallenge, radius.AccountingResponse, radius.CoAACK, radius.DisconnectNAK)
		if p.Parse(b) != radius.OK {
			return
		}
		for _, in := range [][]byte{secretIn, secretOut} {
			checkResponse(t, &p, in)
		}
	})
}

func checkResponse(t *testing.T, p *radius.Packet, in []byte) {
	before := bytes.Clone(p.Bytes())
	got, why := forwardResponse(p, in, secretOut)
	if !bytes.Equal(before, p.Bytes()) {
		t.Fatal("the input was touched")
	}
	if _, reply := p.Code().Forwardable(); !reply {
		require.Equal(t, radius.BadCode, why)
		return
	}
	model, err := layeh.Parse(p.Bytes(), in)
	require.NoError(t, err)
	model.Del(80)
	model.Del(33)
	openReply(model.Attributes, in, homeAuth[:])
	model.Add(33, []byte(clientState))
	want := encode(model.Attributes)
	if why != radius.OK {
		if why != radius.Overflow || radius.HeaderLen+len(want)+len(zeroMA) <= radius.MaxLen {
			t.Fatalf("%s for %d octets", why, len(want))
		}
		return
	}
	if !emittable(got) {
		return
	}
	auth := clientAuth
	require.Equal(t, oracleAuth(got, auth, secretOut), [16]byte(got[4:20]))
	if first := parse(t, got); first.Has(radius.MessageAuthenticator) {
		require.Equal(t, byte(radius.MessageAuthenticator), got[radius.HeaderLen])
		require.Equal(t, oracleMA(got, auth, secretOut), got[22:38])
	}
	reply, err := layeh.Parse(got, secretOut)
	require.NoError(t, err)
	assertSalts(t, got)
	reply.Del(80)
	openReply(reply.Attributes, secretOut, clientAuth[:])
	require.Equal(t, want, encode(reply.Attributes))
}

// assertSalts: those that were made here are unique and have the high bit.
func assertSalts(t *testing.T, reply []byte) {
	seen := map[uint16]bool{}
	for _, h := range hiddenOf(t, reply, secretOut, clientAuth[:]) {
		if h.kind == "chap-mppe" {
			continue
		}
		if seen[h.salt] || h.salt&0x8000 == 0 {
			t.Fatalf("salt %04x", h.salt)
		}
		seen[h.salt] = true
	}
}

// FuzzClear: what goes to a RADIUS/1.1 connection and comes back by another is
// what it was, but for what could not be read, and nothing grows beyond bounds.
func FuzzClear(f *testing.F) {
	seed(f)
	secret := hopSecret[string(secretIn)]
	f.Fuzz(func(t *testing.T, b []byte) {
		var p radius.Packet
		var w radius.Writer
		b = framed(b, radius.AccessAccept, radius.CoARequest, radius.AccessRequest, radius.AccountingRequest)
		if p.Parse(b) != radius.OK {
			return
		}
		buf, tok := make([]byte, radius.MaxLen), token(9)
		cross := func(p *radius.Packet, in, out *radius.Secret, inAuth, outAuth *[16]byte) ([]byte, radius.Reason) {
			if _, reply := p.Code().Forwardable(); reply {
				why := hopCrypt.ForwardResponse(&w, buf, p, 0, inAuth, outAuth, in, out, nil, nil, nil)
				return bytes.Clone(w.SignResponse(hopCrypt, out, outAuth)), why
			}
			auth := *outAuth
			why := hopCrypt.ForwardRequest(&w, buf, p, 0, &auth, in, out, nil)
			if p.Code() == radius.AccessRequest {
				return bytes.Clone(w.SignRequest(hopCrypt, out)), why
			}
			return bytes.Clone(w.SignAccounting(hopCrypt, out)), why
		}
		clear, why := cross(&p, secret, radius.Clear, &homeAuth, &tok)
		if why != radius.OK || !emittable(clear) {
			return
		}
		require.False(t, parse(t, clear).Has(radius.MessageAuthenticator))
		hidden, why := cross(parse(t, clear), radius.Clear, secret, &tok, &homeAuth)
		if why != radius.OK || !emittable(hidden) {
			return
		}
		again, why := cross(parse(t, hidden), secret, radius.Clear, &homeAuth, &tok)
		require.Equal(t, radius.OK, why)
		if p.Code() != radius.AccessRequest { // whose authenticator is another one at each hop, and a CHAP-Challenge
			require.Equal(t, clear, again)
		}
	})
}

// FuzzHidden: hiding and revealing agree with layeh, for any secret.
func FuzzHidden(f *testing.F) {
	f.Add([]byte("arctangent"), []byte("xyzzy5461"), uint16(0x8001))
	f.Add([]byte{}, []byte("s"), uint16(0))
	f.Add(fill(128), fill(64), uint16(0xffff))
	f.Add(fill(239), fill(65), uint16(0x1234))
	f.Add(fill(253), fill(300), uint16(0x8000))
	f.Fuzz(func(t *testing.T, value, secret []byte, salt uint16) {
		if len(secret) == 0 || len(value) > 300 {
			return
		}
		c, s, a := radius.NewCrypt(), radius.NewSecret(secret), auth(byte(salt))
		var st [2]byte
		binary.BigEndian.PutUint16(st[:], salt|0x8000)
		hidden, clear := make([]byte, 512), make([]byte, 512)

		want, err := layeh.NewUserPassword(value, secret, a[:])
		n, ok := c.HideUserPassword(hidden, value, &a, s)
		if ok != (err == nil) || !bytes.Equal(hidden[:n], want) {
			t.Fatalf("User-Password %x, not %x", hidden[:n], want)
		}
		if ok {
			n, ok = c.RevealUserPassword(clear, hidden[:n], &a, s)
			if !ok || !bytes.Equal(clear[:n], bytes.TrimRight(value, "\x00")) {
				t.Fatalf("%x came back as %x", value, clear[:n])
			}
		}
		n, ok = c.HideSalted(hidden, value, st, &a, s)
		if ok != (len(value) <= 239) {
			t.Fatalf("%d octets: %v", len(value), ok)
		}
		if ok {
			want, err := layeh.NewTunnelPassword(value, st[:], secret, a[:])
			if err != nil || !bytes.Equal(hidden[:n], want[2:]) {
				t.Fatalf("salted %x, not %x", hidden[:n], want)
			}
			n, ok = c.RevealSalted(clear, hidden[:n], st, &a, s)
			if !ok || !bytes.Equal(clear[:n], value) {
				t.Fatalf("%x came back as %x", value, clear[:n])
			}
		}
		// Anything at all as a hidden value.
		c.RevealUserPassword(clear, value, &a, s)
		if n, ok := c.RevealSalted(clear, value, st, &a, s); ok && n >= len(value) {
			t.Fatalf("%d octets out of %d", n, len(value))
		}
	})
}

// FuzzEAP: the header is only what the first octets say.
func FuzzEAP(f *testing.F) {
	f.Add([]byte{2, 7, 0, 10, 1, 'a', '@', 'b', '.', 'c'})
	f.Add([]byte{1, 8, 0, 200, 50})
	f.Add([]byte{3, 9, 0, 4})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, v []byte) {
		if len(v) > radius.MaxValue {
			return
		}
		code, id, typ, ok := parse(t, plain(radius.AccessRequest, 1, auth(1), tlv(radius.EAPMessage, v))).EAP()
		typed := code == 1 || code == 2
		switch {
		case !ok:
			if code != 0 || id != 0 || typ != 0 {
				t.Fatalf("%x: something of nothing", v)
			}
		case len(v) < 4 || code != v[0] || id != v[1] || code == 0,
			typed && (len(v) < 5 || typ != v[4]), !typed && typ != 0:
			t.Fatalf("%x gives %d %d %d", v, code, id, typ)
		}
	})
}
