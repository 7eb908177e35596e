package dynauth

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc3576"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

const (
	secretOfA   = "home-a-secret-0123456789abcdef01"
	secretOfB   = "home-b-secret-0123456789abcdef01"
	secretOfNAS = "visited-secret-0123456789abcdef0"
	began       = int64(1_800_000_000) // unix seconds
)

// rig is a Machine whose network is memory: an independent RADIUS library
// speaks for homes and clients, and the test is the clock.
type rig struct {
	t     testing.TB
	set   *realm.Set
	book  *Book
	m     *Machine
	now   Clock
	ids   byte
	home  [][]byte // what homes got
	wires map[string]*wire
	seen  []Event
}

// wire is a Connection in memory.
type wire struct {
	client string
	rig    *rig
	got    [][]byte
	secret *radius.Secret
	tls    bool
}

func (w *wire) Secret() *radius.Secret { return w.secret }

func (w *wire) Reliable() bool { return w.tls }

func (w *wire) Send(b []byte) bool {
	w.got = append(w.got, append([]byte(nil), b...))
	return true
}

// configuration: two homes of two realms, three clients of two operators.
func configuration() *realm.Set {
	set := &realm.Set{
		Clients: []realm.Client{
			{Name: "visited", Secret: realm.Secret(secretOfNAS), Operator: "1visited.example", DynAuth: netip.MustParseAddrPort("192.0.2.1:3799")},
			{Name: "second", Secret: realm.Secret(secretOfNAS), Operator: "1visited.example", Operators: []string{"1*.fed.example", "4wba:de"}, DynAuth: netip.MustParseAddrPort("192.0.2.2:3799")},
			{Name: "deaf", Secret: realm.Secret(secretOfNAS), Operator: "1deaf.example"},
			{Name: "ap", Secret: realm.Secret(secretOfNAS), Operator: "1edge.example", HideNAS: true, DynAuth: netip.MustParseAddrPort("192.0.2.3:3799")},
			{Name: "ap2", Secret: realm.Secret(secretOfNAS), Operator: "1edge.example", HideNAS: true, DynAuth: netip.MustParseAddrPort("192.0.2.4:3799")},
		},
		Homes: []realm.Home{
			{Name: "a", Secret: realm.Secret(secretOfA), DynAuth: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}},
			{Name: "b", Secret: realm.Secret(secretOfB), DynAuth: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}},
		},
		Pools: []realm.Pool{
			{Name: "a", Members: []realm.Member{{Home: 0, Weight: 1}}},
			{Name: "b", Members: []realm.Member{{Home: 1, Weight: 1}}},
		},
		Routes: []realm.Route{
			{Realm: "a.example", Index: 0, Auth: 0, Acct: 0},
			{Realm: "*.b.example", Index: 1, Auth: 1, Acct: 1},
			{Realm: "closed.example", Index: 2, Auth: 0, Acct: 0, Reject: "no"},
		},
	}
	return set
}

func newRig(t testing.TB, edit func(*realm.Set, *Config)) *rig {
	r := &rig{t: t, set: configuration(), book: NewBook(1 << 20), now: Clock{Now: int64(time.Hour), Wall: began}, wires: map[string]*wire{}}
	conf := Config{
		Book: r.book, Identity: []byte("0123456789abcdef"),
		Answer: func(_ Source, b []byte) { r.home = append(r.home, append([]byte(nil), b...)) },
		Note:   func(e Event) { r.seen = append(r.seen, e) },
	}
	if edit != nil {
		edit(r.set, &conf)
	}
	r.set.Table = realm.NewTable(r.set.Routes)
	r.m = NewMachine(conf, NewTable(r.set, r.book, NewSealer(conf.Identity)))
	for _, c := range r.set.Clients {
		if c.ReverseCoA {
			continue // its test attaches what it opens
		}
		w := &wire{client: c.Name, rig: r}
		if assert.Equal(t, c.DynAuth.IsValid(), r.m.Attach(c.Name, w), c.Name) && c.DynAuth.IsValid() {
			r.wires[c.Name] = w
		}
	}
	return r
}

// request is what a home sends: type, value, type, value.
type request struct {
	code   layeh.Code
	from   string
	secret string
	attrs  []any
	id     byte
	plain  bool // without Message-Authenticator
}

// attributes of the requests here.
const (
	userName  = 1
	nasIP     = 4
	service   = 6
	stationID = 31
	nasID     = 32
	proxy     = 33
	sessionID = 44
	timestamp = 55
	cui       = 89
	operator  = 126
	extended  = 241
)

func fromA(attrs ...any) request {
	return request{code: layeh.CodeDisconnectRequest, from: "198.51.100.7:4000", secret: secretOfA, attrs: attrs}
}

func fromB(attrs ...any) request {
	return request{code: layeh.CodeDisconnectRequest, from: "203.0.113.7:4000", secret: secretOfB, attrs: attrs}
}

func (q request) coa() request { q.code = layeh.CodeCoARequest; return q }

// encode signs the request.
func (q request) encode(t testing.TB) []byte {
	p := layeh.New(q.code, []byte(q.secret))
	p.Identifier = q.id
	for i := 0; i < len(q.attrs); i += 2 {
		var v []byte
		switch x := q.attrs[i+1].(type) {
		case string:
			v = []byte(x)
		case []byte:
			v = x
		case int64:
			v = binary.BigEndian.AppendUint32(nil, uint32(x))
		}
		p.Add(layeh.Type(q.attrs[i].(int)), v)
	}
	if !q.plain {
		// Over sixteen zero octets in the place of the authenticator, which the
		// library has no way to do: the project's own writer signs.
		b, err := p.Encode()
		require.NoError(t, err)
		var w radius.Writer
		w.Start(make([]byte, radius.MaxLen), radius.Code(q.code), q.id, true)
		require.True(t, w.Raw(b[radius.HeaderLen:]))
		return w.SignAccounting(radius.NewCrypt(), radius.NewSecret([]byte(q.secret)))
	}
	b, err := p.Encode()
	require.NoError(t, err)
	return b
}

// send hands a request over; each is another one.
func (r *rig) send(q request) []byte {
	r.t.Helper()
	r.ids++
	q.id = r.ids
	b := q.encode(r.t)
	r.again(q, b)
	return b
}

func (r *rig) again(q request, b []byte) {
	r.m.Request(Source{From: netip.MustParseAddrPort(q.from)}, b, r.now)
}

// pass lets time go by, stopping wherever the Machine wants.
func (r *rig) pass(d time.Duration) {
	end := r.now.Now + int64(d)
	for n := 0; ; n++ {
		next := r.m.Tick(r.now)
		if next == 0 || next > end {
			break
		}
		require.Less(r.t, n, 10000, "the Machine never rests")
		require.Greater(r.t, next, r.now.Now, "what was due is done")
		r.now.Wall += (next - r.now.Now) / 1e9
		r.now.Now = next
	}
	r.now.Now = end
	r.m.Tick(r.now)
}

// nak is the Error-Cause of the NAK that a home has got last.
func (r *rig) nak(sent []byte, secret string) uint32 {
	r.t.Helper()
	p := r.reply(sent, secret)
	if p == nil {
		return 0
	}
	assert.Equal(r.t, layeh.Code(sent[0])+2, p.Code, "a NAK")
	return uint32(rfc3576.ErrorCause_Get(p))
}

// reply is the authentic answer that a home has got last, nil for none.
func (r *rig) reply(sent []byte, secret string) *layeh.Packet {
	r.t.Helper()
	if len(r.home) == 0 {
		return nil
	}
	last := r.home[len(r.home)-1]
	require.True(r.t, layeh.IsAuthenticResponse(last, sent, []byte(secret)), "authentic")
	p, err := layeh.Parse(last, []byte(secret))
	require.NoError(r.t, err)
	assert.Equal(r.t, sent[1], p.Identifier)
	return p
}

// at is the last of what a client has got.
func (r *rig) at(client string) *layeh.Packet {
	r.t.Helper()
	w := r.wires[client]
	require.NotEmpty(r.t, w.got, "client %s has got nothing", client)
	b := w.got[len(w.got)-1]
	require.True(r.t, layeh.IsAuthenticRequest(b, []byte(secretOfNAS)), "authentic")
	p, err := layeh.Parse(b, []byte(secretOfNAS))
	require.NoError(r.t, err)
	return p
}

// says lets a client answer what it has got last.
func (r *rig) says(client string, code layeh.Code, attrs ...any) {
	r.t.Helper()
	r.m.Reply(client, r.wires[client], r.saying(client, code, attrs...), r.now)
}

func (r *rig) saying(client string, code layeh.Code, attrs ...any) []byte {
	p := r.at(client).Response(code)
	for _, a := range r.at(client).Attributes {
		if a.Type == proxy {
			p.Add(a.Type, a.Attribute)
		}
	}
	for i := 0; i < len(attrs); i += 2 {
		p.Add(layeh.Type(attrs[i].(int)), []byte(attrs[i+1].(string)))
	}
	if code == 52 { // the library does not know it
		var w radius.Writer
		w.Start(make([]byte, radius.MaxLen), radius.ProtocolError, p.Identifier, false)
		for _, a := range p.Attributes {
			w.Add(radius.Type(a.Type), a.Attribute)
		}
		return w.SignResponse(radius.NewCrypt(), radius.NewSecret([]byte(secretOfNAS)), &r.at(client).Authenticator)
	}
	b, err := p.Encode()
	require.NoError(r.t, err)
	return b
}

// learn notes a session as a shard does.
func (r *rig) learn(client string, auth int32, attrs ...any) {
	s := r.session(client, auth, attrs...)
	s.Accepted = true
	r.book.Learn(s, uint32(r.now.Now/1e9))
}

func (r *rig) session(client string, auth int32, attrs ...any) *Session {
	b := request{code: layeh.CodeAccountingRequest, secret: "x", attrs: attrs, plain: true}.encode(r.t)
	var p radius.Packet
	require.Equal(r.t, radius.OK, p.Parse(b))
	var s Session
	s.Read(&p)
	s.Client, s.Auth, s.Acct = r.book.Name("client "+client), r.m.table.PoolName(auth), r.m.table.PoolName(auth)
	return &s
}

// last is why the last packet was dropped or answered.
func (r *rig) last() Reason {
	if len(r.seen) == 0 {
		return OK
	}
	return r.seen[len(r.seen)-1].Why
}

func values(p *layeh.Packet, t int) (all []string) {
	for _, a := range p.Attributes {
		if int(a.Type) == t {
			all = append(all, string(a.Attribute))
		}
	}
	return all
}
