package hide

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/test/judge"
)

func TestMain(m *testing.M) { os.Exit(judge.Main{M: m}.Run()) }

const (
	inner  = "epc.mnc010.mcc262.3gppnetwork.org"
	outer  = "epc.mnc001.mcc901.3gppnetwork.org"
	mme    = "mme1.site7." + inner
	hss    = "hss1." + outer
	alone  = "dra7.corp.example"
	ours   = "hub.roam.example"
	secret = "0123456789abcdef"
)

func set() *realm.Set {
	return &realm.Set{Peers: []realm.Peer{
		{Name: "inside", Identity: "dra." + inner, Realm: inner, Origins: realm.NewNames([]string{inner, "*.iot.example"})},
		{Name: "alone", Identity: alone, Realm: "corp-net.example"},
		{Name: "outside", Identity: "dra." + outer, Realm: outer, HideTopology: true},
	}}
}

func hider() *Hider { return New([]byte(secret), "Hub.Roam.Example", set()) }

type avp struct {
	code  uint32
	value string
}

func message(t testing.TB, flags diameter.Flags, list ...avp) []byte {
	t.Helper()
	var w diameter.Writer
	w.Begin(make([]byte, 8192), &diameter.Header{Flags: flags, Command: diameter.UpdateLocation, Application: diameter.AppS6a})
	for _, a := range list {
		if a.code == diameter.ProxyInfo {
			g := w.Group(diameter.ProxyInfo, 0, diameter.AVPMandatory)
			w.String(diameter.ProxyHost, 0, diameter.AVPMandatory, a.value)
			w.String(diameter.ProxyState, 0, diameter.AVPMandatory, "state")
			w.End(g)
			continue
		}
		w.String(a.code, 0, diameter.AVPMandatory, a.value)
	}
	b := w.Finish()
	require.NotNil(t, b)
	return b
}

// list reads a message back.
func list(t testing.TB, b []byte) (all []avp) {
	t.Helper()
	judge.Collect(b)
	var m diameter.Message
	require.Equal(t, diameter.NoFault, m.Parse(b))
	require.Equal(t, len(b), m.Length)
	var a, in diameter.AVP
	for c := diameter.Walk(m.Body()); c.Next(&a); {
		if a.Code == diameter.ProxyInfo {
			require.True(t, diameter.Find(a.Data, diameter.ProxyState, 0, &in))
			require.True(t, diameter.Find(a.Data, diameter.ProxyHost, 0, &in))
			a.Data = in.Data
		}
		all = append(all, avp{a.Code, string(a.Data)})
	}
	return all
}

func room() []byte { return make([]byte, diameter.MaxLen) }

// TestRequestAndAnswer has a request of a hidden node go out and its answer come back (D57).
func TestRequestAndAnswer(t *testing.T) {
	h := hider()
	request := []avp{
		{diameter.SessionID, mme + ";1;2;opt;more"},
		{diameter.OriginHost, mme},
		{diameter.OriginRealm, inner},
		{diameter.DestinationHost, hss},
		{diameter.DestinationRealm, outer},
		{diameter.UserName, "901010000000001"},
		{diameter.ProxyInfo, "dra." + inner},
		{diameter.RouteRecord, mme},
		{diameter.RouteRecord, alone},
		{diameter.RouteRecord, "dra.ipx.example"},
		{diameter.RouteRecord, ours},
	}
	plain := message(t, diameter.FlagRequest, request...)
	sent := h.Hide(room(), plain, outer)
	got := list(t, sent)
	require.Len(t, got, len(request))
	for i, a := range got {
		name, _, _ := strings.Cut(a.value, ";")
		switch a.code {
		case diameter.SessionID, diameter.OriginHost, diameter.ProxyInfo:
			assert.True(t, strings.HasSuffix(name, "."+inner), name)
			assert.NotContains(t, a.value, "mme1")
			assert.NotContains(t, a.value, "site7")
			assert.NotContains(t, a.value, "dra.")
		case diameter.RouteRecord:
			hidden := a.value != request[i].value
			assert.Equal(t, request[i].value == mme || request[i].value == alone, hidden, request[i].value)
		default:
			assert.Equal(t, request[i], a)
		}
	}
	assert.True(t, strings.HasPrefix(got[0].value, got[1].value+";1;2;opt;more"), "one name, one pseudonym")
	assert.Equal(t, got[1].value, got[7].value)
	assert.True(t, strings.HasSuffix(got[8].value, ".corp-net.example"))

	answer := message(t, 0, avp{diameter.SessionID, got[0].value}, avp{diameter.OriginHost, hss}, avp{diameter.OriginRealm, outer},
		avp{diameter.ProxyInfo, got[6].value}, avp{diameter.ErrorReportingHost, got[8].value})
	assert.Equal(t, []avp{
		{diameter.SessionID, request[0].value}, {diameter.OriginHost, hss}, {diameter.OriginRealm, outer},
		{diameter.ProxyInfo, "dra." + inner}, {diameter.ErrorReportingHost, alone},
	}, list(t, hider().Restore(room(), answer)), "by another hub with the key")
	assert.True(t, bytes.Equal(plain, h.Restore(room(), sent)), "a request that comes round is as it was")
}

// TestBegunOutside has the home cancel where the hidden node is, in a session of its own (D57).
func TestBegunOutside(t *testing.T) {
	h := hider()
	ulr := list(t, h.Hide(room(), message(t, diameter.FlagRequest, avp{diameter.SessionID, mme + ";1"}, avp{diameter.OriginHost, mme}, avp{diameter.OriginRealm, inner}), outer))
	clr := message(t, diameter.FlagRequest, avp{diameter.SessionID, hss + ";9;9"}, avp{diameter.OriginHost, hss}, avp{diameter.OriginRealm, outer},
		avp{diameter.DestinationHost, strings.ToUpper(ulr[1].value)}, avp{diameter.DestinationRealm, inner})
	in := list(t, h.Restore(room(), clr))
	assert.Equal(t, "mme1.site7."+strings.ToUpper(inner), in[3].value, "whatever case a name comes back in")
	assert.Equal(t, hss+";9;9", in[0].value)
	cla := message(t, 0, avp{diameter.SessionID, hss + ";9;9"}, avp{diameter.OriginHost, mme}, avp{diameter.OriginRealm, inner})
	out := list(t, h.Hide(room(), cla, outer))
	assert.Equal(t, hss+";9;9", out[0].value, "their session keeps its name")
	assert.Equal(t, ulr[1].value, out[1].value, "and the node its pseudonym")
}

// TestLeft are names that stay.
func TestLeft(t *testing.T) {
	h := hider()
	for _, name := range []string{hss, ours, "HUB.roam.example", inner, "x", "", "." + outer, "dra.ipx.example", strings.Repeat("a", 300) + "." + inner} {
		b := message(t, diameter.FlagRequest, avp{diameter.RouteRecord, name}, avp{diameter.UserName, mme})
		out := h.Hide(room(), b, outer)
		require.NotNil(t, out, name)
		assert.Same(t, &b[0], &out[0], "nothing is copied: %s", name)
	}
	own := message(t, 0, avp{diameter.OriginHost, mme})
	assert.Same(t, &own[0], &h.Hide(room(), own, inner)[0], "a realm is not hidden from itself")
	wild := message(t, 0, avp{diameter.OriginHost, "gw.acme.iot.example"})
	assert.True(t, strings.HasSuffix(list(t, h.Hide(room(), wild, outer))[0].value, ".iot.example"))
	vendor := func() []byte {
		var w diameter.Writer
		w.Begin(make([]byte, 512), &diameter.Header{})
		w.String(diameter.OriginHost, diameter.Vendor3GPP, 0, mme)
		return w.Finish()
	}()
	assert.Same(t, &vendor[0], &h.Hide(room(), vendor, outer)[0], "an AVP of a vendor")
}

// TestNotOurs are pseudonyms that do not prove themselves (D57).
func TestNotOurs(t *testing.T) {
	h := hider()
	good := list(t, h.Hide(room(), message(t, 0, avp{diameter.OriginHost, mme}), outer))[0].value
	require.NotEqual(t, mme, good)
	other := New([]byte("another"), ours, set())
	front, _, _ := strings.Cut(good, ".")
	for name, bad := range map[string]string{
		"another realm": front + ".epc.mnc011.mcc262.3gppnetwork.org",
		"a bit":         good[:20] + string(letters[(strings.IndexByte(letters, good[20])+1)%32]) + good[21:],
		"cut":           good[:20] + "." + inner,
		"no realm":      front,
		"marker":        "u" + good[1:],
		"length":        "t00" + good[3:],
		"letters":       "tz" + good[2:],
	} {
		b := message(t, 0, avp{diameter.DestinationHost, bad})
		assert.Same(t, &b[0], &h.Restore(room(), b)[0], name)
	}
	b := message(t, 0, avp{diameter.DestinationHost, good})
	assert.Same(t, &b[0], &other.Restore(room(), b)[0], "another key")
	assert.Equal(t, mme, list(t, h.Restore(room(), b))[0].value)
}

// TestLong are names at the limits of labels, names and messages.
func TestLong(t *testing.T) {
	h := hider()
	for _, n := range []int{1, 27, 28, 29, 60, 100, maxFront - 1} {
		name := strings.Repeat("n", n) + "." + inner
		out := list(t, h.Hide(room(), message(t, 0, avp{diameter.OriginHost, name}), outer))[0].value
		assert.LessOrEqual(t, len(out), maxName)
		for label := range strings.SplitSeq(out, ".") {
			assert.LessOrEqual(t, len(label), 63)
			assert.NotEmpty(t, label)
		}
		assert.Equal(t, name, list(t, h.Restore(room(), message(t, 0, avp{diameter.OriginHost, out})))[0].value)
	}
	assert.Nil(t, h.Hide(room(), message(t, 0, avp{diameter.OriginHost, strings.Repeat("n", maxFront) + "." + inner}), outer))
	b := message(t, 0, avp{diameter.OriginHost, mme}, avp{diameter.UserName, strings.Repeat("u", 100)})
	assert.Nil(t, h.Hide(make([]byte, len(b)), b, outer), "too little room")
	assert.Nil(t, h.Hide(make([]byte, 200), b, outer))
}

func TestHides(t *testing.T) {
	assert.True(t, Hides(set()))
	assert.False(t, Hides(&realm.Set{Peers: set().Peers[:2]}))
}

func TestAllocs(t *testing.T) {
	h := hider()
	b := message(t, diameter.FlagRequest, avp{diameter.SessionID, mme + ";1;2"}, avp{diameter.OriginHost, mme}, avp{diameter.RouteRecord, alone}, avp{diameter.ProxyInfo, mme})
	out, back := room(), room()
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		if len(h.Restore(back, h.Hide(out, b, outer))) != len(b) {
			t.Error("not the same")
		}
	}))
}

func BenchmarkHotHide(bench *testing.B) {
	h := hider()
	b := message(bench, diameter.FlagRequest, avp{diameter.SessionID, mme + ";1;2"}, avp{diameter.OriginHost, mme}, avp{diameter.RouteRecord, mme})
	out, back := room(), room()
	bench.ReportAllocs()
	for bench.Loop() {
		h.Restore(back, h.Hide(out, b, outer))
	}
}

// TestNestedNames are those that stand where another message or a list of hosts is quoted
// (D57).
func TestNestedNames(t *testing.T) {
	h := hider()
	var w diameter.Writer
	w.Begin(room(), &diameter.Header{Command: diameter.UpdateLocation, Application: diameter.AppS6a})
	for _, uri := range []string{"aaa://" + mme + ":3868;transport=tcp", "aaas://" + mme, mme + ";protocol=diameter", "aaa://" + hss, "aaa://"} {
		w.String(diameter.RedirectHost, 0, diameter.AVPMandatory, uri)
	}
	g := w.Group(diameter.FailedAVP, 0, diameter.AVPMandatory)
	w.String(diameter.DestinationHost, 0, diameter.AVPMandatory, mme)
	w.String(diameter.RouteRecord, 0, diameter.AVPMandatory, alone)
	w.String(diameter.UserName, 0, diameter.AVPMandatory, "901010000000001")
	p := w.Group(diameter.ProxyInfo, 0, diameter.AVPMandatory)
	w.String(diameter.ProxyHost, 0, diameter.AVPMandatory, mme)
	w.String(diameter.ProxyState, 0, diameter.AVPMandatory, "abc")
	w.End(p)
	w.End(g)
	l := w.Group(load, 0, 0)
	w.String(sourceID, 0, 0, mme)
	w.End(l)
	plain := w.Finish()
	require.NotNil(t, plain)
	sent := h.Hide(room(), plain, outer)
	require.NotNil(t, sent)
	for _, name := range []string{"mme1", "site7", "dra7"} {
		assert.NotContains(t, string(sent), name)
	}
	assert.Contains(t, string(sent), ":3868;transport=tcp")
	assert.Contains(t, string(sent), "aaa://"+hss)
	var m diameter.Message
	require.Equal(t, diameter.NoFault, m.Parse(sent))
	assert.Equal(t, plain, h.Restore(room(), sent))

	// Names that grow beyond the room are a refusal, never a message elsewhere.
	for n := len(plain); n < len(sent); n++ {
		assert.Nil(t, h.Hide(make([]byte, n), plain, outer), n)
	}
	assert.Equal(t, sent, h.Hide(make([]byte, len(sent)+8), plain, outer))
}

// TestNamesOfApplications has each AVP that tells one node of another go out and come
// back, where it stands in its messages (D57).
func TestNamesOfApplications(t *testing.T) {
	const vendor = diameter.Vendor3GPP
	for _, tc := range []struct {
		name string
		in   []uint32 // groups
		code uint32
	}{
		{"Coupled-Node-Diameter-ID of a ULR", nil, 1666},
		{"MME-Name of an SRA", []uint32{2401}, 2402},
		{"SGSN-Name of an SRA", []uint32{2406}, 2409},
		{"3GPP-AAA-Server-Name of an SRA", []uint32{2401}, 318},
		{"SMSF-3GPP-Name of an SRA", []uint32{3344}, 3340},
		{"SMSF-Non-3GPP-Name of an SRA", []uint32{3345}, 3341},
		{"IP-SM-GW-Name of an SIA", nil, 3101},
		{"MME-Name of an IDA", []uint32{1496, 1600}, 2402},
		{"SCEF-ID of a ULA", []uint32{1400, 1429, 1430}, 3125},
		{"SCEF-ID of an IDR", []uint32{1400, 3122}, 3125},
		{"SCEF-ID of a CIR", []uint32{3122}, 3125},
		{"SCEF-ID of an RIR", []uint32{3123}, 3125},
		{"SCEF-ID of an IDR's pattern", []uint32{1400, 3113}, 3125},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := hider()
			write := func(name string) []byte {
				var w diameter.Writer
				w.Begin(room(), &diameter.Header{Command: diameter.UpdateLocation, Application: diameter.AppS6a})
				w.String(diameter.OriginHost, 0, diameter.AVPMandatory, hss)
				var ends []int
				for _, g := range tc.in {
					ends = append(ends, w.Group(g, vendor, diameter.AVPMandatory))
				}
				w.String(tc.code, vendor, diameter.AVPMandatory, name)
				w.String(2403, vendor, diameter.AVPMandatory, "stays")
				for _, at := range slices.Backward(ends) {
					w.End(at)
				}
				w.String(diameter.UserName, 0, diameter.AVPMandatory, "901010000000001")
				return w.Finish()
			}
			plain := write(mme)
			sent := h.Hide(room(), plain, outer)
			assert.NotContains(t, string(sent), "mme1")
			assert.Contains(t, string(sent), "stays")
			var m diameter.Message
			require.Equal(t, diameter.NoFault, m.Parse(sent))
			assert.Equal(t, plain, h.Restore(room(), sent))
			origin := list(t, h.Hide(room(), message(t, 0, avp{diameter.OriginHost, mme}), outer))[0].value
			assert.Contains(t, string(sent), origin, "the pseudonym that its Origin-Host has")
			away := write(hss)
			assert.Same(t, &away[0], &h.Hide(room(), away, outer)[0], "of a node outside nothing is changed")
		})
	}
}

// values are the AVPs of a message without their padding; of groups only the place,
// since padding inside of it is written anew.
func values(b []byte) (all []string) {
	var a diameter.AVP
	for c := diameter.Walk(b[diameter.HeaderLen:]); c.Next(&a); {
		if groups(&a) {
			a.Data = nil
		}
		all = append(all, string(a.Raw[:8-3])+string(a.Data))
	}
	return all
}

// FuzzHide hides and restores whatever parses: it comes back octet for octet.
func FuzzHide(f *testing.F) {
	f.Add(message(f, diameter.FlagRequest, avp{diameter.SessionID, mme + ";1;2"}, avp{diameter.OriginHost, mme}, avp{diameter.ProxyInfo, mme}))
	f.Add(hider().Hide(room(), message(f, 0, avp{diameter.OriginHost, mme}, avp{diameter.RouteRecord, alone}), outer))
	var w diameter.Writer
	w.Begin(room(), &diameter.Header{})
	g := w.Group(servingNode, diameter.Vendor3GPP, 0)
	w.String(mmeName, diameter.Vendor3GPP, 0, mme)
	w.End(g)
	f.Add(w.Finish())
	h := hider()
	f.Fuzz(func(t *testing.T, b []byte) {
		var m diameter.Message
		if n, fault := diameter.Frame(b); fault != diameter.NoFault || n == 0 || n != len(b) || m.Parse(b) != diameter.NoFault {
			return
		}
		plain := h.Restore(room(), b)
		if plain == nil || m.Parse(plain) != diameter.NoFault {
			t.Fatal("broken by restoring")
		}
		// What restoring has made once is the plain message from then on.
		for again := h.Restore(room(), plain); !bytes.Equal(again, plain); again = h.Restore(room(), plain) {
			plain = bytes.Clone(again)
		}
		hidden := h.Hide(room(), plain, outer)
		if hidden == nil {
			return
		}
		if m.Parse(hidden) != diameter.NoFault {
			t.Fatal("broken by hiding")
		}
		back := h.Restore(room(), hidden)
		if !slices.Equal(values(back), values(plain)) {
			t.Fatalf("%q is not %q", back, plain)
		}
	})
}
