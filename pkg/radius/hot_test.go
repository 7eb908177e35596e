package radius_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
)

// hop is one shard's state for one exchange, as a slab slot holds it.
type hop struct {
	c                    *radius.Crypt
	in, out              *radius.Secret
	p                    radius.Packet
	w                    radius.Writer
	buf                  []byte
	auth                 [16]byte
	clientAuth, homeAuth [16]byte
	states               []byte
}

func newHop() *hop {
	return &hop{
		c: radius.NewCrypt(), in: radius.NewSecret(secretIn), out: radius.NewSecret(secretIn[1:]), buf: make([]byte, radius.MaxLen),
		clientAuth: clientAuth, homeAuth: homeAuth, states: text(radius.ProxyState, "visited-7"),
	}
}

const imsiNAI = "6262011234567890@nai.epc.mnc001.mcc262.3gppnetwork.org"

// accessRequest is the EAP-AKA' identity of a subscriber abroad: 18 attributes.
func (h *hop) accessRequest(extra ...[]byte) []byte {
	h.w.Start(h.buf, radius.AccessRequest, 7, true)
	h.c.Random(h.w.Authenticator()[:])
	h.identity()
	h.w.Add(radius.EAPMessage, append([]byte{2, 1, 0, 59, 1}, imsiNAI...))
	for _, e := range extra {
		h.w.Raw(e)
	}
	h.w.Raw(h.states)
	return append([]byte(nil), h.w.SignRequest(h.c, h.in)...)
}

func (h *hop) identity() {
	h.w.Add(radius.UserName, []byte(imsiNAI))
	h.w.Add(radius.NASIPAddress, []byte{192, 0, 2, 1})
	h.w.Add(radius.NASIdentifier, []byte("ap-17.visited.example"))
	h.w.AddUint32(radius.NASPort, 0)
	h.w.AddUint32(radius.NASPortType, 19)
	h.w.AddUint32(radius.ServiceType, 2)
	h.w.AddUint32(radius.FramedMTU, 1400)
	h.w.Add(radius.CalledStationID, []byte("02-00-00-00-00-01:Roaming"))
	h.w.Add(radius.CallingStationID, []byte("02-00-00-00-AA-BB"))
	h.w.Add(radius.ConnectInfo, []byte("CONNECT 54Mbps 802.11a"))
	h.w.Add(radius.AcctSessionID, []byte("5F3A1B2C00000017"))
	h.w.Add(radius.OperatorName, []byte("1visited.example"))
	h.w.AddVendor(14122, 1, []byte("isocc=de,cc=49,ac=030,network=Roaming"))
	h.w.AddVendor(40808, 6, []byte{0x5a, 0x03, 0xba, 0, 0})
}

func (h *hop) accountingStop() []byte {
	h.w.Start(h.buf, radius.AccountingRequest, 8, false)
	h.identity()
	h.w.AddUint32(radius.AcctStatusType, 2)
	for _, t := range []radius.Type{42, 43, 46, 47, 48, 49, 52, 53, 55} {
		h.w.AddUint32(t, 123456)
	}
	h.w.Add(radius.Class, fill(32))
	h.w.Raw(h.states)
	return append([]byte(nil), h.w.SignAccounting(h.c, h.in)...)
}

func (h *hop) accept(t testing.TB) []byte {
	h.w.Start(h.buf, radius.AccessAccept, 9, true)
	h.w.Add(radius.UserName, []byte(imsiNAI))
	h.w.Add(radius.Class, fill(32))
	h.w.AddUint32(radius.SessionTimeout, 86400)
	h.w.AddUint32(radius.AcctInterimInterval, 600)
	h.w.Add(radius.EAPMessage, []byte{3, 5, 0, 4})
	key := salted(t, "0123456789abcdef0123456789abcdef", 9, secretIn[1:], h.homeAuth)
	h.w.AddVendor(311, radius.MSMPPESendKey, key)
	h.w.AddVendor(311, radius.MSMPPERecvKey, key)
	h.w.AddVendor(14122, 7, []byte{0, 15, 0x42, 0x40})
	h.w.Add(radius.ProxyState, []byte("own"))
	return append([]byte(nil), h.w.SignResponse(h.c, h.out, &h.homeAuth)...)
}

func must(ok bool) {
	if !ok {
		panic("refused")
	}
}

// request is all this package does for a request on its way to the home.
func (h *hop) request(b []byte) {
	must(h.p.Parse(b) == radius.OK)
	must(h.c.CheckMessageAuthenticator(&h.p, h.in))
	h.c.Random(h.auth[:])
	must(h.c.ForwardRequest(&h.w, h.buf, &h.p, 44, &h.auth, h.in, h.out, []byte("own")) == radius.OK)
	h.w.SignRequest(h.c, h.out)
}

func (h *hop) accounting(b []byte) {
	must(h.p.Parse(b) == radius.OK)
	must(h.c.CheckRequestAuthenticator(&h.p, h.in))
	must(h.c.ForwardRequest(&h.w, h.buf, &h.p, 44, nil, h.in, h.out, nil) == radius.OK)
	h.w.SignAccounting(h.c, h.out)
}

func (h *hop) response(b []byte) {
	must(h.p.Parse(b) == radius.OK)
	must(h.c.CheckResponse(&h.p, &h.homeAuth, h.out))
	must(h.c.CheckResponseMessageAuthenticator(&h.p, &h.homeAuth, h.out))
	must(h.c.ForwardResponse(&h.w, h.buf, &h.p, 7, &h.homeAuth, &h.clientAuth, h.out, h.in, h.states, nil, nil) == radius.OK)
	h.w.SignResponse(h.c, h.in, &h.clientAuth)
}

func (h *hop) read(b []byte) {
	must(h.p.Parse(b) == radius.OK)
	_, name := h.p.First(radius.UserName)
	_, port := h.p.Uint32(radius.NASPortType)
	_, location := h.p.Vendor(14122, 1)
	_, _, _, eap := h.p.EAP()
	must(name && port && location && eap && h.p.Count(radius.ProxyState) == 1)
}

func (h *hop) password(a [16]byte) []byte {
	hidden := make([]byte, 128)
	n, _ := h.c.HideUserPassword(hidden, []byte("correct horse battery"), &a, h.in)
	return tlv(radius.UserPassword, hidden[:n])
}

// toClear is b as it is on a RADIUS/1.1 connection.
func (h *hop) toClear(b []byte) []byte {
	must(h.p.Parse(b) == radius.OK)
	a := token(77)
	if h.p.Code() == radius.AccessRequest {
		must(h.c.ForwardRequest(&h.w, h.buf, &h.p, 0, &a, h.in, radius.Clear, nil) == radius.OK)
		return bytes.Clone(h.w.SignRequest(h.c, radius.Clear))
	}
	must(h.c.ForwardResponse(&h.w, h.buf, &h.p, 0, &h.homeAuth, &a, h.out, radius.Clear, nil, nil, nil) == radius.OK)
	return bytes.Clone(h.w.SignResponse(h.c, radius.Clear, &a))
}

func TestAllocs(t *testing.T) {
	h := newHop()
	access, stop, accept := h.accessRequest(h.password(h.clientAuth)), h.accountingStop(), h.accept(t)
	require.Greater(t, parse(t, access).Len(), 17)
	hidden, clear := make([]byte, 256), make([]byte, 256)
	clearAccess, clearAccept := h.toClear(access), h.toClear(accept)
	for name, f := range map[string]func(){
		"request":    func() { h.request(access) },
		"accounting": func() { h.accounting(stop) },
		"response":   func() { h.response(accept) },
		"read":       func() { h.read(access) },
		"random":     func() { h.c.Random(clear[:100]) },
		"request to 1.1": func() {
			a := h.auth
			must(h.p.Parse(access) == radius.OK)
			must(h.c.ForwardRequest(&h.w, h.buf, &h.p, 0, &a, h.in, radius.Clear, nil) == radius.OK)
			h.w.SignRequest(h.c, radius.Clear)
		},
		"response to 1.1": func() {
			must(h.p.Parse(accept) == radius.OK)
			must(h.c.ForwardResponse(&h.w, h.buf, &h.p, 0, &h.homeAuth, &h.clientAuth, h.out, radius.Clear, h.states, nil, nil) == radius.OK)
			h.w.SignResponse(h.c, radius.Clear, &h.clientAuth)
		},
		"request from 1.1": func() {
			must(h.p.Parse(clearAccess) == radius.OK)
			must(h.c.ForwardRequest(&h.w, h.buf, &h.p, 1, &h.auth, radius.Clear, h.out, nil) == radius.OK)
			h.w.SignRequest(h.c, h.out)
		},
		"response from 1.1": func() {
			must(h.p.Parse(clearAccept) == radius.OK)
			must(h.c.ForwardResponse(&h.w, h.buf, &h.p, 1, &h.homeAuth, &h.clientAuth, radius.Clear, h.in, h.states, nil, nil) == radius.OK)
			h.w.SignResponse(h.c, h.in, &h.clientAuth)
		},
		"hide": func() {
			a := h.auth // on the caller's stack: nothing may drag it to the heap
			n, ok := h.c.HideUserPassword(hidden, clear[:20], &a, h.in)
			must(ok)
			_, ok = h.c.RevealUserPassword(clear, hidden[:n], &a, h.in)
			must(ok)
			n, ok = h.c.HideSalted(hidden, clear[:20], [2]byte{0x80, 1}, &a, h.in)
			must(ok)
			_, ok = h.c.RevealSalted(clear, hidden[:n], [2]byte{0x80, 1}, &a, h.in)
			must(ok)
		},
		"check with an authenticator on the stack": func() {
			a := h.homeAuth
			must(h.p.Parse(accept) == radius.OK)
			must(h.c.CheckResponse(&h.p, &a, h.out))
		},
	} {
		assert.Zero(t, testing.AllocsPerRun(500, f), name)
	}
}

func bench(b *testing.B, f func()) {
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}

func BenchmarkHotParse(b *testing.B) {
	h := newHop()
	packet := h.accessRequest()
	bench(b, func() { h.p.Parse(packet) })
}

func BenchmarkHotRead(b *testing.B) {
	h := newHop()
	packet := h.accessRequest()
	bench(b, func() { h.read(packet) })
}

func BenchmarkHotCheckMA(b *testing.B) {
	h := newHop()
	h.p.Parse(h.accessRequest())
	bench(b, func() { h.c.CheckMessageAuthenticator(&h.p, h.in) })
}

// One hop of an EAP request: bounds, proof, rewriting, signature.
func BenchmarkHotAccessRequest(b *testing.B) {
	h := newHop()
	packet := h.accessRequest()
	bench(b, func() { h.request(packet) })
}

// The same with a User-Password to hide again.
func BenchmarkHotAccessRequestPAP(b *testing.B) {
	h := newHop()
	packet := h.accessRequest(h.password(h.clientAuth))
	bench(b, func() { h.request(packet) })
}

// One hop of an Access-Accept with two MPPE keys.
func BenchmarkHotAccessAccept(b *testing.B) {
	h := newHop()
	packet := h.accept(b)
	bench(b, func() { h.response(packet) })
}

func BenchmarkHotAcctStop(b *testing.B) {
	h := newHop()
	packet := h.accountingStop()
	bench(b, func() { h.accounting(packet) })
}

func BenchmarkHotRandom(b *testing.B) {
	h := newHop()
	bench(b, func() { h.c.Random(h.auth[:]) })
}
