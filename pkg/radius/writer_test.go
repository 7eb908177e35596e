package radius_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
)

func TestWriter(t *testing.T) {
	var w radius.Writer
	c, s, a := radius.NewCrypt(), radius.NewSecret(secretOut), auth(8)
	buf := bytes.Repeat([]byte{0xee}, radius.MaxLen)
	w.Start(buf, radius.AccessRequest, 5, true)
	w.SetAuthenticator(&a)
	assert.Equal(t, &a, w.Authenticator())
	require.True(t, w.Add(radius.UserName, []byte("a@b.c")))
	require.True(t, w.AddUint32(radius.SessionTimeout, 3600))
	require.True(t, w.AddVendor(14122, 7, []byte{0, 1, 0, 0}))
	require.True(t, w.Raw(octets(t, "1903cc 1903dd")))
	require.True(t, w.AddEAPFailure(77))
	require.True(t, w.AddErrorCause(502))
	b := w.SignRequest(c, s)
	assert.Equal(t, w.Len(), len(b))
	assert.Equal(t, octets(t, "010761 40622e63 1b0600000e10 1a0c0000372a070600010000 1903cc 1903dd 4f06044d0004 6506000001f6"), attributes(t, b))
	assert.Equal(t, oracleMA(b, a, secretOut), b[22:38])
	again := bytes.Clone(b)
	assert.Equal(t, again, w.SignRequest(c, s), "signing twice gives the same")
	assert.True(t, c.CheckMessageAuthenticator(parse(t, b), s))

	w.Start(buf, radius.AccountingRequest, 5, true)
	require.True(t, w.Add(radius.AcctSessionID, []byte("s")))
	b = w.SignAccounting(c, s)
	p := parse(t, b)
	assert.True(t, c.CheckRequestAuthenticator(p, s))
	assert.True(t, c.CheckMessageAuthenticator(p, s))

	w.Start(buf, radius.AccessReject, 5, true)
	b = w.SignResponse(c, s, &a)
	p = parse(t, b)
	assert.True(t, c.CheckResponse(p, &a, s))
	assert.True(t, c.CheckResponseMessageAuthenticator(p, &a, s))

	w.Start(buf, radius.AccountingResponse, 5, false)
	b = w.SignResponse(c, s, &a)
	assert.Len(t, b, radius.HeaderLen)
	assert.Equal(t, oracleAuth(b, a, secretOut), *parse(t, b).Authenticator())
}

// What does not fit is refused whole: the packet stays good.
func TestWriterFull(t *testing.T) {
	fits := func(w *radius.Writer) map[string]bool {
		return map[string]bool{
			"Add": w.Add(radius.Class, []byte("ab")), "AddUint32": w.AddUint32(radius.Class, 1),
			"AddVendor": w.AddVendor(9, 1, nil), "Raw": w.Raw([]byte{25, 4, 1, 2}),
		}
	}
	for _, size := range []int{radius.HeaderLen, radius.HeaderLen + 3, 100, radius.MaxLen, radius.MaxLen + 100} {
		var w radius.Writer
		w.Start(make([]byte, size), radius.AccessAccept, 1, false)
		for w.Room() >= 2 {
			n := min(w.Room(), 255)
			if w.Room()-n == 1 {
				n--
			}
			require.True(t, w.Add(radius.Class, fill(n-2)))
		}
		want := w.Len()
		require.LessOrEqual(t, want, radius.MaxLen)
		for name, ok := range fits(&w) {
			assert.False(t, ok, "%s in %d", name, size)
		}
		assert.Equal(t, want, w.Len())
	}
	var w radius.Writer
	w.Start(make([]byte, radius.MaxLen), radius.AccessAccept, 1, false)
	assert.False(t, w.Add(radius.Class, fill(254)), "no attribute is so long")
	assert.False(t, w.AddVendor(9, 1, fill(248)))
	assert.True(t, w.AddVendor(9, 1, fill(247)))
	assert.True(t, w.Add(radius.Class, fill(253)))
}

func TestDrop(t *testing.T) {
	var none *radius.Drop
	var d radius.Drop
	d.Set(radius.ReplyMessage)
	d.Set(255)
	for i := range 256 {
		assert.Equal(t, i == 18 || i == 255, d.Has(radius.Type(i)))
		assert.False(t, none.Has(radius.Type(i)))
	}
	b := plain(radius.AccessReject, 1, auth(1), text(radius.ReplyMessage, "no"), text(radius.Class, "c"), text(255, "x"))
	var w radius.Writer
	in, out := radius.NewSecret(secretIn), radius.NewSecret(secretOut)
	c := radius.NewCrypt()
	require.Equal(t, radius.OK, c.ForwardResponse(&w, make([]byte, radius.MaxLen), parse(t, b), 1, &homeAuth, &clientAuth, in, out,
		text(radius.ProxyState, "p"), text(radius.ReplyMessage, "ours"), &d))
	got := w.SignResponse(c, out, &clientAuth)
	want := append(append(text(radius.Class, "c"), text(radius.ReplyMessage, "ours")...), text(radius.ProxyState, "p")...)
	assert.Equal(t, want, attributes(t, got))
}

// C5, C46: a User-Password is the same in the clear on both sides, with other
// and with equal secrets, and the Message-Authenticator is made anew.
func TestForwardRequestPassword(t *testing.T) {
	for _, tt := range []struct {
		name    string
		in, out []byte
	}{
		{"other secret", secretIn, secretOut},
		{"equal secrets", secretIn, secretIn},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, in, out, a := radius.NewCrypt(), radius.NewSecret(tt.in), radius.NewSecret(tt.out), auth(1)
			hidden := make([]byte, 128)
			n, ok := c.HideUserPassword(hidden, []byte("correct horse battery staple"), &a, in)
			require.True(t, ok)
			p := parse(t, plain(radius.AccessRequest, 1, a, text(radius.UserName, "a@b.c"), tlv(radius.UserPassword, hidden[:n])))
			var w radius.Writer
			require.Equal(t, radius.OK, c.ForwardRequest(&w, make([]byte, radius.MaxLen), p, 9, &newAuth, in, out, nil))
			require.True(t, w.Add(radius.OperatorName, []byte("1x")), "the caller may append")
			q := parse(t, w.SignRequest(c, out))
			v, _ := q.First(radius.UserPassword)
			require.Len(t, v, n)
			clear := make([]byte, 128)
			n, ok = c.RevealUserPassword(clear, v, q.Authenticator(), out)
			require.True(t, ok)
			assert.Equal(t, "correct horse battery staple", string(clear[:n]))
			assert.True(t, c.CheckMessageAuthenticator(q, out))
			assert.False(t, q.Has(radius.ProxyState), "nil is none")
		})
	}
}

// RFC 2865 section 2.5: what is sent again is the same, octet for octet.
func TestForwardRequestRepeats(t *testing.T) {
	h := newHop()
	for _, b := range [][]byte{h.accessRequest(h.password(h.clientAuth)), h.accountingStop()} {
		p := parse(t, b)
		first, why := forwardRequest(p)
		require.Equal(t, radius.OK, why)
		again, _ := forwardRequest(p)
		assert.Equal(t, first, again)
	}
}

// An empty own Proxy-State is one, if an odd one.
func TestForwardRequestEmptyProxyState(t *testing.T) {
	var w radius.Writer
	c, s := radius.NewCrypt(), radius.NewSecret(secretIn)
	p := parse(t, plain(radius.AccountingRequest, 1, auth(1)))
	require.Equal(t, radius.OK, c.ForwardRequest(&w, make([]byte, radius.MaxLen), p, 9, nil, s, s, []byte{}))
	assert.Equal(t, []byte{33, 2}, attributes(t, w.SignAccounting(c, s)))
}

func TestForwardOverflow(t *testing.T) {
	c, s := radius.NewCrypt(), radius.NewSecret(secretIn)
	var w radius.Writer
	small := make([]byte, 60)
	chap := parse(t, plain(radius.AccessRequest, 1, auth(1), tlv(radius.CHAPPassword, fill(17))))
	assert.Equal(t, radius.Overflow, c.ForwardRequest(&w, small, chap, 1, &newAuth, s, s, nil), "CHAP-Challenge")
	big := parse(t, plain(radius.AccessAccept, 1, auth(1), tlv(radius.Class, fill(30))))
	why := c.ForwardResponse(&w, small, big, 1, &homeAuth, &clientAuth, s, s, nil, nil, nil)
	assert.Equal(t, radius.Overflow, why, "the reply itself")
	reply := parse(t, plain(radius.AccessAccept, 1, auth(1), text(radius.Class, "c")))
	for _, tt := range []struct {
		name          string
		states, extra []byte
	}{{"extra", nil, tlv(radius.Class, fill(30))}, {"Proxy-State", tlv(radius.ProxyState, fill(30)), nil}} {
		why := c.ForwardResponse(&w, small, reply, 1, &homeAuth, &clientAuth, s, s, tt.states, tt.extra, nil)
		assert.Equal(t, radius.Overflow, why, tt.name)
	}
}
