package aaa

import (
	"fmt"

	"github.com/roamgate/roamgate/aaa/dynauth"
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
}

// host is the same for a home.
type host struct {
	name    []byte
	in, out *rewrite.Program
	changed [2]stat.ID
}

// Directions of packets, as seen from the hub.
const (
	dirIn = iota
	dirOut
)

// filtering is how a configuration changes packets. Where plain is set it
// changes no request on its way but for what every hop does.
type filtering struct {
	plain    bool
	visitors []visitor           // by client.Client.Index
	byName   map[string]*visitor // for records from the spool
	hosts    []*host             // by home.Home.Index; nil for homes of other configurations
}

// filtering compiles the filters of a configuration.
func (h *Hub) filtering(s *Snapshot) (filtering, error) {
	set := s.Set
	f := filtering{plain: set.Loops.Hop.Type == 0, visitors: make([]visitor, len(set.Clients)), byName: make(map[string]*visitor, len(set.Clients))}
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
	var err error
	for i := range set.Clients {
		c, v := &set.Clients[i], &f.visitors[i]
		v.spec = c
		if v.in, v.out, v.changed, err = both(c.Name, c.In, c.Out); err != nil {
			return f, err
		}
		v.vars[realm.VarClient], v.vars[realm.VarCountry] = []byte(c.Name), []byte(c.Country)
		if c.Operator != "" {
			v.vars[realm.VarOperator], v.vars[realm.VarOperatorID] = []byte(c.Operator[1:]), []byte(c.Operator)
		}
		if c.OperatorName != realm.OperatorPass || c.HideNAS {
			f.plain = false
		}
		f.byName[c.Name] = v
	}
	for i := range set.Homes {
		spec, index := &set.Homes[i], int(s.Homes.Homes()[i].Index)
		for index >= len(f.hosts) {
			f.hosts = append(f.hosts, nil)
		}
		hm := &host{name: []byte(spec.Name)}
		f.hosts[index] = hm
		if hm.in, hm.out, hm.changed, err = both(spec.Name, spec.In, spec.Out); err != nil {
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
	if !s.apply(v.in, v, nil, v.changed[dirIn], ex.homeIdx < 0) {
		return ofRadius(radius.Overflow)
	}
	return OK
}

// outgoing is a request as its home gets it, but for what every hop does
// (radius.Crypt.ForwardRequest). p is the request as it was received.
//
// hot: 0 allocs but for expressions
func (s *Shard) outgoing(ex *Exchange, p *radius.Packet, index int32) (*radius.Packet, Reason) {
	if ex.snap.plain {
		return p, OK
	}
	v, hm := ex.visitorOf(), ex.snap.hosts[index]
	s.draft.Start(s.draftBuf[:], p)
	if v != nil {
		if why := s.accept(ex, v); why != OK {
			return p, why
		}
	}
	if why := s.rename(ex); why != OK {
		return p, why
	}
	if v != nil && v.spec.HideNAS && !s.hideNAS(v) {
		return p, ofRadius(radius.Overflow)
	}
	if !s.apply(hm.out, v, hm, hm.changed[dirOut], ex.sent == 0) {
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

// apply runs a program over the draft, and counts what it has changed the
// first time that it sees the packet.
func (s *Shard) apply(p *rewrite.Program, v *visitor, hm *host, counter stat.ID, first bool) bool {
	if p == nil {
		return true
	}
	var vars rewrite.Vars
	if v != nil {
		vars = v.vars
	}
	if hm != nil {
		vars[realm.VarHome] = hm.name
	}
	n, ok := p.Apply(&s.draft, &vars)
	if first && n > 0 {
		s.stats.Add(counter, uint64(n))
	}
	return ok
}

// rename writes the User-Name that the home gets into the draft.
func (s *Shard) rename(ex *Exchange) Reason {
	r := ex.route
	if r == nil || r.Rewrite == nil {
		return OK
	}
	off := s.draft.Find(radius.UserName, radius.HeaderLen)
	if off == 0 {
		return OK // accounting of no user
	}
	name, _ := s.draft.First(radius.UserName)
	user, _, why := nai.Split(name)
	if user == nil {
		return ofNAI(why)
	}
	n := copy(s.name[:], user)
	if !r.Rewrite.Strip && r.Rewrite.Realm != "" {
		if n+1+len(r.Rewrite.Realm) > len(s.name) {
			return ofNAI(nai.TooLong)
		}
		s.name[n] = '@'
		n += 1 + copy(s.name[n+1:], r.Rewrite.Realm)
	}
	if _, ok := s.draft.Change(off, s.name[:n]); !ok {
		return ofRadius(radius.Overflow)
	}
	return OK
}
