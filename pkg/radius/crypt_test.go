package radius_test

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	layeh "layeh.com/radius"

	"github.com/roamgate/roamgate/pkg/radius"
)

var (
	secretIn  = []byte("in-secret-of-the-visited-network")
	secretOut = []byte("another one, of the home, which is longer than one block of MD5 so that it is hashed first")
)

// oracleMA is RFC 3579 section 3.2 in the plainest words.
func oracleMA(packet []byte, auth [16]byte, secret []byte) []byte {
	b := append([]byte(nil), packet...)
	copy(b[4:], auth[:])
	for off := 20; off < len(b); off += int(b[off+1]) {
		if b[off] == 80 {
			clear(b[off+2 : off+18])
		}
	}
	m := hmac.New(md5.New, secret)
	m.Write(b)
	return m.Sum(nil)
}

// oracleAuth is RFC 2865 section 3.
func oracleAuth(packet []byte, auth [16]byte, secret []byte) (sum [16]byte) {
	b := append([]byte(nil), packet...)
	copy(b[4:], auth[:])
	return md5.Sum(append(b, secret...))
}

// plain encodes attributes given as type, value pairs behind a header.
func plain(code radius.Code, id byte, auth [16]byte, tlvs ...[]byte) []byte {
	b := append([]byte{byte(code), id, 0, 0}, auth[:]...)
	for _, t := range tlvs {
		b = append(b, t...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

func tlv(t radius.Type, value []byte) []byte {
	return append([]byte{byte(t), byte(2 + len(value))}, value...)
}

func text(t radius.Type, s string) []byte { return tlv(t, []byte(s)) }

func vsa(vendor uint32, subs ...[]byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, vendor)
	for _, s := range subs {
		b = append(b, s...)
	}
	return tlv(radius.VendorSpecific, b)
}

func fill(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*37 + n)
	}
	return b
}

func auth(seed byte) (a [16]byte) {
	for i := range a {
		a[i] = seed + byte(i)*11
	}
	return a
}

func parse(t testing.TB, b []byte) *radius.Packet {
	t.Helper()
	p := new(radius.Packet)
	require.Equal(t, radius.OK, p.Parse(b))
	return p
}

var zeroMA = tlv(radius.MessageAuthenticator, make([]byte, 16))

// Golden construction for every code (A17): our check must accept what the
// oracle makes, and refuse it after any one bit has changed.
func TestMessageAuthenticatorByCode(t *testing.T) {
	reqAuth := auth(9)
	for _, tt := range []struct {
		code radius.Code
		over [16]byte // authenticator that counts
		own  [16]byte // authenticator in the packet
	}{
		{radius.AccessRequest, auth(1), auth(1)},
		{radius.StatusServer, auth(2), auth(2)},
		{radius.AccountingRequest, [16]byte{}, auth(3)},
		{radius.CoARequest, [16]byte{}, auth(4)},
		{radius.DisconnectRequest, [16]byte{}, auth(5)},
		{radius.AccessAccept, reqAuth, auth(6)},
		{radius.AccessReject, reqAuth, auth(6)},
		{radius.AccessChallenge, reqAuth, auth(6)},
		{radius.AccountingResponse, reqAuth, auth(6)},
		{radius.CoAACK, reqAuth, auth(6)},
		{radius.CoANAK, reqAuth, auth(6)},
		{radius.DisconnectACK, reqAuth, auth(6)},
		{radius.DisconnectNAK, reqAuth, auth(6)},
		{radius.ProtocolError, reqAuth, auth(6)},
	} {
		for _, place := range []string{"first", "middle", "last"} {
			t.Run(tt.code.String()+" "+place, func(t *testing.T) {
				name, class := text(radius.UserName, "0244@wlan.mnc001.mcc262.3gppnetwork.org"), text(radius.Class, strings.Repeat("c", 70))
				tlvs := [][]byte{zeroMA, name, class}
				switch place {
				case "middle":
					tlvs = [][]byte{name, zeroMA, class}
				case "last":
					tlvs = [][]byte{name, class, zeroMA}
				}
				b := plain(tt.code, 7, tt.own, tlvs...)
				p := parse(t, b)
				v, _ := p.First(radius.MessageAuthenticator)
				copy(v, oracleMA(b, tt.over, secretOut))

				c, s := radius.NewCrypt(), radius.NewSecret(secretOut)
				check := func() bool {
					switch tt.code {
					case radius.AccessRequest, radius.StatusServer, radius.AccountingRequest, radius.CoARequest, radius.DisconnectRequest:
						return c.CheckMessageAuthenticator(p, s)
					}
					assert.False(t, c.CheckMessageAuthenticator(p, s), "a reply has no request's MA")
					return c.CheckResponseMessageAuthenticator(p, &reqAuth, s)
				}
				require.True(t, check())
				for _, i := range []int{1, 20 + 2 + 3, len(b) - 1} {
					b[i] ^= 0x40
					assert.False(t, check(), "octet %d", i)
					b[i] ^= 0x40
				}
				assert.True(t, check())
			})
		}
	}
}

func TestMessageAuthenticatorAbsent(t *testing.T) {
	p := parse(t, plain(radius.AccessRequest, 1, auth(1), text(radius.UserName, "a@b.c")))
	c, s, a := radius.NewCrypt(), radius.NewSecret(secretIn), auth(1)
	assert.False(t, c.CheckMessageAuthenticator(p, s))
	assert.False(t, c.CheckResponseMessageAuthenticator(p, &a, s))
}

func TestRequestAuthenticator(t *testing.T) {
	c := radius.NewCrypt()
	for _, secret := range [][]byte{secretIn, secretOut, []byte("x")} {
		s := radius.NewSecret(secret)
		for _, code := range []radius.Code{radius.AccountingRequest, radius.CoARequest, radius.DisconnectRequest} {
			b := plain(code, 3, [16]byte{}, text(radius.AcctSessionID, "s1"))
			assert.False(t, c.CheckRequestAuthenticator(parse(t, b), s), "zero authenticator (C16)")
			sum := oracleAuth(b, [16]byte{}, secret)
			copy(b[4:], sum[:])
			assert.True(t, c.CheckRequestAuthenticator(parse(t, b), s))
			assert.True(t, layeh.IsAuthenticRequest(b, secret))
			assert.True(t, c.CheckRequestAuthenticator(parse(t, append(b, 1, 2, 3, 4, 5, 6, 7, 8)), s), "R010 padding")
			b[20] ^= 1
			assert.False(t, c.CheckRequestAuthenticator(parse(t, b), s))
		}
		assert.False(t, c.CheckRequestAuthenticator(parse(t, plain(radius.AccessRequest, 3, auth(1))), s))
	}
}

func TestResponseAuthenticator(t *testing.T) {
	c, reqAuth := radius.NewCrypt(), auth(77)
	s := radius.NewSecret(secretIn)
	b := plain(radius.AccessAccept, 3, reqAuth, text(radius.Class, "abc"))
	sum := oracleAuth(b, reqAuth, secretIn)
	copy(b[4:], sum[:])
	assert.True(t, c.CheckResponse(parse(t, b), &reqAuth, s))
	assert.True(t, c.CheckResponse(parse(t, append(b, make([]byte, 8)...)), &reqAuth, s), "R011 padded reply")
	other := auth(78)
	assert.False(t, c.CheckResponse(parse(t, b), &other, s), "R096 right id, wrong authenticator")
	assert.False(t, c.CheckResponse(parse(t, b), &reqAuth, radius.NewSecret(secretOut)))
}

func TestSecretNeverPrints(t *testing.T) {
	s := radius.NewSecret([]byte("hunter2"))
	m, err := s.MarshalText()
	require.NoError(t, err)
	for _, got := range []string{
		fmt.Sprint(s), fmt.Sprintf("%s %v %+v %#v %x %q %d", s, s, s, s, s, s, s),
		s.String(), s.GoString(), string(m), fmt.Sprintf("%v %+v", struct{ S *radius.Secret }{s}, struct{ S radius.Secret }{*s}),
	} {
		assert.NotContains(t, got, "hunter2")
		assert.NotContains(t, got, fmt.Sprintf("%x", "hunter2"))
		assert.Contains(t, got, "[secret]")
	}
	assert.Equal(t, 7, s.Len())
	log, err := zapcore.NewJSONEncoder(zapcore.EncoderConfig{}).EncodeEntry(zapcore.Entry{},
		[]zap.Field{zap.Any("any", s), zap.Reflect("reflect", s), zap.Any("value", *s)})
	require.NoError(t, err)
	assert.JSONEq(t, `{"any":"[secret]","reflect":"[secret]","value":"[secret]"}`, log.String())
}

func TestRandomIsFresh(t *testing.T) {
	c := radius.NewCrypt()
	seen := map[[16]byte]bool{}
	for range 1000 {
		var a [16]byte
		c.Random(a[:])
		require.False(t, seen[a])
		require.NotZero(t, a)
		seen[a] = true
	}
	long := make([]byte, 5000)
	c.Random(long)
	assert.NotContains(t, string(long), string(make([]byte, 16)), "filled to the end")
}
