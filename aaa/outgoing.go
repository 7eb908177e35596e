package aaa

import (
	"bytes"
	"fmt"

	"github.com/roamgate/roamgate/aaa/dynauth"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/rewrite"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
)

// visitor is what is done to the requests of a client and to the answers it
// gets.
type visitor struct {
	spec    *realm.Client
	in, out *rewrite.Program
	vars    rewrite.Vars // what is the same for all its packets
	changed [2]stat.ID   // attributes, in and out
	mark    dynauth.Mark // of a client whose NAS is hidden
	plain   bool         // nothing of its requests is changed on its account
}

// host is the same for a home.
type host struct {
	name    []byte
	in, out *rewrite.Program
	changed [2]stat.ID
	// provider is the attribute that says whose home it is to peers of
	// OpenRoaming, nil: it is not known.
	provider []byte
}

// Directions of packets, as seen from the hub.
const (
	dirIn = iota
	dirOut
)

// filtering is how a configuration changes packets. Where plain is set it
// changes no request on its way but for what every hop does.
type filtering struct {
	plain bool
	// consortia: some peers follow the rules of one.
	consortia bool
	visitors  []visitor           // by client.Client.Index
	byName    map[string]*visitor // for records from the spool
	hosts     []*host             // by home.Home.Index; nil for homes of other configurations
	found     map[string]*host    // by name of the realm.Discovery
}

// filtering compiles the filters of a configuration.
func (h *Hub) filtering(s *Snapshot) (filtering, error) {
	set := s.Set
	f := filtering{plain: set.Loops.Hop.Type == 0 && set.Identity.Own == nil, visitors: make([]visitor, len(set.Clients)), byName: make(map[string]*visitor, len(set.Clients))}
	programs := make(map[*realm.Filter]*rewrite.Program)
	program := func(spec *realm.Filter) (*rewrite.Program, error) {
		p, ok := programs[spec]
		if ok || spec == nil {
			return p, nil
		}
		p, err := rewrite.Compile(spec)
		if err != nil {
			return nil, fmt.Errorf("compiling filter %q (%s): %w", spec.Name, spec.Pos, err)
		}
		programs[spec] = p
		f.plain = false
		return p, nil
	}
	both := func(peer string, in, out *realm.Filter) (i, o *rewrite.Program, changed [2]stat.ID, err error) {
		if i, err = program(in); err == nil {
			o, err = program(out)
		}
		if i != nil {
			changed[dirIn] = h.filterSeries(peer, "in", i.Name())
		}
		if o != nil {
			changed[dirOut] = h.filterSeries(peer, "out", o.Name())
		}
		return i, o, changed, err
	}
	for _, g := range set.Groups {
		f.consortia = f.consortia || g.Consortium != realm.NoConsortium
	}
	var err error
	for i := range set.Clients {
		c, v := &set.Clients[i], &f.visitors[i]
		v.spec = c
		if v.in, v.out, v.changed, err = both(c.Name, c.In, c.Out); err != nil {
			return f, err
		}
		v.plain = c.In == nil && c.OperatorName == realm.OperatorPass && !c.HideNAS
		v.vars[realm.VarClient], v.vars[realm.VarCountry] = []byte(c.Name), []byte(c.Country)
		if c.Operator != "" {
			v.vars[realm.VarOperator], v.vars[realm.VarOperatorID] = []byte(c.Operator[1:]), []byte(c.Operator)
		}
		f.plain = f.plain && v.plain
		f.byName[c.Name] = v
	}
	for i := range set.Homes {
		spec, hm := &set.Homes[i], &host{name: []byte(set.Homes[i].Name), provider: provider(&set.Homes[i])}
		for _, leg := range s.Homes.Homes()[i].Legs {
			for int(leg.Index) >= len(f.hosts) {
				f.hosts = append(f.hosts, nil)
			}
			f.hosts[leg.Index] = hm
		}
		if hm.in, hm.out, hm.changed, err = both(spec.Name, spec.In, spec.Out); err != nil {
			return f, err
		}
	}
	f.found = make(map[string]*host, len(set.Discoveries))
	for _, d := range set.Discoveries {
		hm := &host{name: []byte(home.Dynamic)}
		f.found[d.Name] = hm
		if hm.in, hm.out, hm.changed, err = both(home.Dynamic, d.In, d.Out); err != nil {
			return f, err
		}
	}
	for i := range set.Routes {
		if set.Routes[i].Rewrite != nil {
			f.plain = false
		}
	}
	return f, nil
}

func (h *Hub) filterSeries(peer, direction, filter string) stat.ID {
	return h.stats.CounterSparse("roamgate_attributes_filtered_total", "Attributes that a filter has removed, added or changed in the packets from a peer (in) or to it (out).",
		"peer", peer, "direction", direction, "filter", filter)
}

// host gives what is done to the packets of a home.
func (s *Snapshot) host(index int32) *host {
	if int(index) < len(s.hosts) && s.hosts[index] != nil {
		return s.hosts[index]
	}
	if hm := s.Homes.Home(index); hm != nil && hm.Found() && s.found[hm.By.Name] != nil {
		return s.found[hm.By.Name]
	}
	return &unknownHost
}

// unknownHost is a home whose filters this configuration does not know.
var unknownHost host

// visitorOf gives what belongs to the client of an Exchange; a record from the
// spool may be of a client that is no more, which is nil.
func (ex *Exchange) visitorOf() *visitor {
	if ex.client != nil {
		return &ex.snap.visitors[ex.client.Index]
	}
	return ex.visitor
}

// accepted is a request as the hub takes it: what the filter of its client
// leaves, with the Operator-Name that the client must have. Routing, policy
// and classification look at this one: an attribute that a client may not send
// does not steer them either. The packet is good until the next one that is
// changed. p is returned where nothing is to be changed.
//
// The request that is kept, and recorded, is the one that was received. What
// becomes of it is worked out again whenever it is wanted, and comes out the
// same for the life of the Exchange.
//
// hot: 0 allocs but for expressions
func (s *Shard) accepted(ex *Exchange, p *radius.Packet) (*radius.Packet, Reason) {
	if ex.snap.plain {
		return p, OK
	}
	v := ex.visitorOf()
	if v == nil || v.in == nil && v.spec.OperatorName == realm.OperatorPass {
		return p, OK
	}
	s.draft.Start(s.draftBuf[:], p)
	if why := s.accept(ex, v); why != OK {
		return p, why
	}
	return s.drafted()
}

// accept changes the draft of a request into what the hub takes.
func (s *Shard) accept(ex *Exchange, v *visitor) Reason {
	if v.in != nil {
		if !s.apply(v.in, ex, v, nil, v.changed[dirIn], !ex.tallied) {
			return ofRadius(radius.Overflow)
		}
		ex.tallied = true
	}
	return s.operatorName(ex, v)
}

// outgoing is a request as its home gets it, but for what every hop does
// (radius.Crypt.ForwardRequest). p is the request as it was received, index is
// the home's.
//
// hot: 0 allocs but for expressions
func (s *Shard) outgoing(ex *Exchange, p *radius.Packet, index int32) (*radius.Packet, Reason) {
	if ex.snap.plain && ex.shifts == 0 {
		return p, OK
	}
	v, hm := ex.visitorOf(), ex.snap.host(index)
	if hm.out == nil && ex.snap.Set.Loops.Hop.Type == 0 && ex.shifts == 0 && ex.route.Rewrite == nil && (v == nil || v.plain) {
		return p, OK
	}
	s.draft.Start(s.draftBuf[:], p)
	if v != nil {
		if why := s.accept(ex, v); why != OK {
			return p, why
		}
	}
	if why := s.rename(ex); why != OK {
		return p, why
	}
	if why := s.countHop(&ex.snap.Set.Loops); why != OK {
		return p, why
	}
	if v != nil && v.spec.HideNAS && !s.hideNAS(v) {
		return p, ofRadius(radius.Overflow)
	}
	if !s.apply(hm.out, ex, v, hm, hm.changed[dirOut], ex.sent == 0) {
		return p, ofRadius(radius.Overflow)
	}
	return s.drafted()
}

// drafted reads the draft as a packet again.
func (s *Shard) drafted() (*radius.Packet, Reason) {
	if why := s.changed.Parse(s.draft.End()); why != radius.OK {
		return &s.changed, ofRadius(why) // more attributes than a packet may have
	}
	return &s.changed, OK
}

// apply runs a program over the draft, and counts what it has changed where
// that was not counted before. v and hm may be nil.
func (s *Shard) apply(p *rewrite.Program, ex *Exchange, v *visitor, hm *host, counter stat.ID, count bool) bool {
	if p == nil {
		return true
	}
	var vars rewrite.Vars
	if v != nil {
		vars = v.vars
	}
	if o := ex.ownOperator(); o != nil {
		vars[realm.VarOperator], vars[realm.VarOperatorID] = o.octets[1:], o.octets
	}
	if hm != nil {
		vars[realm.VarHome] = hm.name
	}
	if p.Uses(realm.VarSource) && ex.from.Port != 0 {
		vars[realm.VarSource] = ex.from.Addr().AppendTo(s.varSource[:0])
	}
	if p.Uses(realm.VarRealm) {
		vars[realm.VarRealm] = s.realmOf(ex)
	}
	n, ok := p.Apply(&s.draft, &vars)
	if count && n > 0 {
		s.stats.Add(counter, uint64(n))
	}
	return ok
}

// realmOf is the folded realm of the User-Name that the client has sent.
func (s *Shard) realmOf(ex *Exchange) []byte {
	name, _ := s.parsed(ex).First(radius.UserName)
	at := bytes.LastIndexByte(name, '@')
	if at < 0 {
		return nil
	}
	return nai.Fold(&s.varRealm, name[at+1:])
}

// rename writes the User-Name that the home gets into the draft: without the
// realms of ours in front, and with what the route makes of it.
func (s *Shard) rename(ex *Exchange) Reason {
	off := s.draft.Find(radius.UserName, radius.HeaderLen)
	if off == 0 || ex.shifts == 0 && ex.route.Rewrite == nil {
		return OK
	}
	was, _, _ := s.draft.Next(off)
	n, why := renamed(&s.name, s.routedName(ex, was.Value()), ex.route.Rewrite)
	if why != OK {
		return why
	}
	if _, ok := s.draft.Change(off, s.name[:n]); !ok {
		return ofRadius(radius.Overflow)
	}
	return OK
}

// renamed writes what a route makes of a name into dst, and says why nothing
// can be made of it: "@realm" without its realm is no name (RFC 7542 section
// 2.2), and a longer one may be no attribute.
func renamed(dst *[nai.MaxLen]byte, name []byte, to *realm.Rewrite) (n int, why Reason) {
	n = copy(dst[:], name)
	if to == nil {
		return n, OK
	}
	if at := bytes.LastIndexByte(name, '@'); at >= 0 && (to.Strip || to.Realm != "") {
		n = at
	}
	if to.Realm != "" {
		if n+1+len(to.Realm) > len(dst) {
			return 0, ofNAI(nai.TooLong)
		}
		dst[n] = '@'
		n += 1 + copy(dst[n+1:], to.Realm)
	}
	if n == 0 {
		return 0, ofNAI(nai.Empty)
	}
	return n, OK
}

// renames reports whether the home may have got another User-Name than the
// client has sent.
func (ex *Exchange) renames(index int32) bool {
	if ex.snap.plain && ex.shifts == 0 {
		return false
	}
	v := ex.visitorOf()
	return ex.shifts > 0 || ex.route.Rewrite != nil || v != nil && v.in.Writes(radius.UserName) || ex.snap.host(index).out.Writes(radius.UserName)
}
