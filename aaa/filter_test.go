package aaa

import (
	"testing"

	"github.com/stretchr/testify/assert"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"
)

// accepted asks, lets the home accept with edits, and gives what the client
// gets.
func (r *rig) accepted(edits ...edit) *layeh.Packet {
	r.t.Helper()
	sent := r.ask(access("bob@home.example"))
	r.atHome(0).answer(layeh.CodeAccessAccept, edits...)
	return r.got(sent)
}

// C13: a roaming home has no business on the visited network's equipment.
func TestC13ServiceType(t *testing.T) {
	r := newRig(t, 1, nil)
	for _, tt := range []struct {
		name  string
		edits []edit
		want  int
	}{
		{"Framed", []edit{with32(6, 2)}, 1},
		{"Login", []edit{with32(6, 1)}, 1},
		{"Authenticate-Only", []edit{with32(6, 8)}, 1},
		{"Administrative", []edit{with32(6, 6)}, 0},
		{"NAS-Prompt", []edit{with32(6, 7)}, 0},
		{"Callback-NAS-Prompt", []edit{with32(6, 9)}, 0},
		{"Callback-Administrative", []edit{with32(6, 11)}, 0},
		{"Administrative behind Framed", []edit{with32(6, 2), with(25, "between"), with32(6, 6)}, 0},
		{"three octets are no number", []edit{with(6, "\x00\x00\x06")}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := r.accepted(append(tt.edits, with(rfc2865.Class_Type, "kept"))...)
			assert.Equal(t, layeh.CodeAccessAccept, p.Code)
			assert.Len(t, values(p, 6), tt.want)
			assert.Contains(t, values(p, rfc2865.Class_Type), "kept")
		})
	}
	assert.Equal(t, 5, r.value("roamgate_home_attributes_filtered_total", "home", "a"))
}

// C19: an interval below a minute is no interval (RFC 2869 section 5.16).
func TestC19InterimInterval(t *testing.T) {
	r := newRig(t, 1, nil)
	for _, tt := range []struct{ said, want uint32 }{{0, 60}, {1, 60}, {59, 60}, {60, 60}, {61, 61}, {600, 600}} {
		p := r.accepted(with32(rfc2869.AcctInterimInterval_Type, tt.said))
		assert.Len(t, values(p, rfc2869.AcctInterimInterval_Type), 1)
		assert.EqualValues(t, tt.want, rfc2869.AcctInterimInterval_Get(p), "home says %d", tt.said)
	}
	assert.Empty(t, values(r.accepted(), rfc2869.AcctInterimInterval_Type), "none is none")
	assert.Equal(t, 3, r.value("roamgate_home_attributes_filtered_total"))
}

// C38: an Access-Reject grants nothing.
func TestC38AccessReject(t *testing.T) {
	r := newRig(t, 1, nil)
	sent := r.ask(access("bob@home.example", with(rfc2865.ProxyState_Type, "p")))
	r.atHome(0).answer(layeh.CodeAccessReject, func(p *layeh.Packet) {
		for i := 1; i <= 240; i++ {
			if i != 79 && i != 80 && i != 33 && i != 26 && i != 69 {
				p.Add(layeh.Type(i), layeh.Attribute("x"))
			}
		}
		p.Attributes = p.Attributes[:150]
		with(75, "r")(p)
		with(101, "\x00\x00\x01\xf5")(p)
		with(26, "\x00\x00\x01\x37\x02\x08E=691 ")(p)
	})
	p := r.rejected(sent)
	var types []layeh.Type
	for _, a := range p.Attributes {
		types = append(types, a.Type)
	}
	assert.Equal(t, []layeh.Type{80, 18, 75, 101, 75, 101, 26, 33}, types)
	assert.Equal(t, []string{"p"}, states(p))
}
