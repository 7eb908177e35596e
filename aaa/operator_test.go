package aaa

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/pki/issue"
	"github.com/roamgate/roamgate/realm"
)

// anyone is a client that every certificate of the tenant may be.
func anyone(mode realm.OperatorMode, edits ...func(*realm.Client)) func(*realm.Set) {
	return func(s *realm.Set) {
		c := &s.Clients[1]
		c.Holder, c.Operator, c.OperatorName = &realm.Holder{Anyone: true}, "", mode
		for _, e := range edits {
			e(c)
		}
	}
}

func TestOperatorOf(t *testing.T) {
	for _, tt := range []struct {
		name string
		id   *pki.Identity
		want string
	}{
		{"a WBAID", &pki.Identity{Operator: "CISCO:US", Realms: []string{"a.example"}}, "4CISCO:US"},
		{"one realm", &pki.Identity{Realms: []string{"a.example"}}, "1a.example"},
		{"a pattern", &pki.Identity{Realms: []string{"*.a.example"}}, ""},
		{"two realms", &pki.Identity{Realms: []string{"a.example", "b.example"}}, ""},
		{"a WBAID that is none", &pki.Identity{Operator: "CISCO US"}, ""},
		{"nothing", &pki.Identity{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, operatorOf(tt.id).name) })
	}
	assert.Nil(t, operatorOf(nil))
}

// Who shows a certificate speaks for the
// operator that it names, and for nobody else.
func TestOperatorOfCertificate(t *testing.T) {
	n := newTenant(t, "tenant")
	wba := n.issue(issue.Names{Hosts: []string{"nas.example"}, Operator: "CISCO:US"})
	realms := n.issue(issue.Names{Hosts: []string{"nas.example"}, Realms: []string{"a.example", "*.b.example"}})
	one := n.issue(issue.Names{Hosts: []string{"nas.example"}, Realms: []string{"a.example"}})
	through := func(c *realm.Client) { c.Operators = []string{"1through.example"} }
	configured := func(c *realm.Client) { c.Operator = "1conf.example" }
	const refused = "-"
	for _, tt := range []struct {
		name  string
		cert  *issue.Pair
		mode  realm.OperatorMode
		edits []func(*realm.Client)
		said  string
		want  string // at the home
	}{
		{"its own", wba, realm.OperatorCheck, nil, "4CISCO:US", "4CISCO:US"},
		{"its own in small letters", wba, realm.OperatorCheck, nil, "4cisco:us", "4cisco:us"},
		{"a sub-identifier", wba, realm.OperatorCheck, nil, "4VENUE.CISCO:US", "4VENUE.CISCO:US"},
		{"another's", wba, realm.OperatorCheck, nil, "4OTHER:US", refused},
		{"another's that ends like it", wba, realm.OperatorCheck, nil, "4SANFRANCISCO:US", refused},
		{"a realm that the certificate has not", wba, realm.OperatorCheck, nil, "1a.example", refused},
		{"none is stamped", wba, realm.OperatorCheck, nil, "", "4CISCO:US"},
		{"stamp alone", wba, realm.OperatorStamp, nil, "", "4CISCO:US"},
		{"stamp leaves another's", wba, realm.OperatorStamp, nil, "4OTHER:US", "4OTHER:US"},
		{"pass", wba, realm.OperatorPass, nil, "", ""},
		{"one that is reached through it", wba, realm.OperatorCheck, []func(*realm.Client){through}, "1through.example", "1through.example"},
		{"the files go before the certificate", wba, realm.OperatorStamp, []func(*realm.Client){configured}, "", "1conf.example"},
		{"the files and the certificate both count", wba, realm.OperatorCheck, []func(*realm.Client){configured}, "4CISCO:US", "4CISCO:US"},
		{"a realm", realms, realm.OperatorCheck, nil, "1a.example", "1a.example"},
		{"below a realm", realms, realm.OperatorCheck, nil, "1x.b.example", "1x.b.example"},
		{"not below a realm", realms, realm.OperatorCheck, nil, "1x.a.example", refused},
		{"a WBAID without one", realms, realm.OperatorCheck, nil, "4CISCO:US", refused},
		{"of many realms none is stamped", realms, realm.OperatorCheck, nil, "", ""},
		{"the one realm is", one, realm.OperatorStamp, nil, "", "1a.example"},
		{"namespace alone", wba, realm.OperatorCheck, nil, "4", refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRigOf(t, n.overTLS(anyone(tt.mode, tt.edits...)))
			p := r.visit(tt.cert)
			edits := []edit{over(radsec)}
			if tt.said != "" {
				edits = append(edits, with(126, tt.said))
			}
			for range 2 { // the second is decided by what was found for the first
				b := encode(t, access("bob@home.example", edits...), true)
				p.offer(b)
				if tt.want == refused {
					assert.Equal(t, layeh.CodeAccessReject, p.got(b, radsec).Code)
					r.quietHome(0)
					continue
				}
				h := r.atHome(0)
				var want []string
				if tt.want != "" {
					want = []string{tt.want}
				}
				assert.Equal(t, want, values(h.Packet, 126))
				h.answer(layeh.CodeAccessAccept)
				p.got(b, radsec)
			}
			r.clean()
		})
	}
}

// Records of one client that many are by their certificates say whose they are,
// and two networks that count their sessions alike do not meet.
func TestOperatorOfRecords(t *testing.T) {
	n := newTenant(t, "tenant")
	r := newRigOf(t, n.overTLS(anyone(realm.OperatorCheck)))
	for i, name := range []string{"CISCO:US", "OTHER:US"} {
		p := r.visit(n.issue(issue.Names{Hosts: []string{"nas.example"}, Operator: name}))
		b := encode(t, acctStop("bob@local.example", "1", over(radsec)), false)
		p.offer(b)
		r.recorded(i + 1)
		p.got(b, radsec)
		assert.Equal(t, "4"+name, r.records()[i].Operator)
		assert.Equal(t, accounting.Stop, r.records()[i].Kind)
	}
	assert.NotEqual(t, r.records()[0].Key, r.records()[1].Key)
	r.clean()
}

// A record that is owed goes to the home as it was accepted, when the connection
// that it came by is long gone.
func TestOperatorOfOwedRecords(t *testing.T) {
	n := newTenant(t, "tenant")
	for _, said := range []string{"", "4VENUE.CISCO:US"} {
		r := newRigOf(t, n.overTLS(anyone(realm.OperatorCheck)))
		p := r.visit(n.issue(issue.Names{Hosts: []string{"nas.example"}, Operator: "CISCO:US"}))
		edits := []edit{over(radsec)}
		want := "4CISCO:US"
		if said != "" {
			edits, want = append(edits, with(126, said)), said
		}
		b := encode(t, acctStop("bob@x.iot.example", "1", edits...), false)
		p.offer(b)
		r.recorded(1)
		p.got(b, radsec)
		assert.Equal(t, []string{want}, values(r.atAcct(0).Packet, 126))
		rec := r.records()[0]
		require.Equal(t, "4CISCO:US", rec.Operator)

		// It is asked for again, without the connection.
		ex := &Exchange{snap: r.hub.Snapshot(), replay: true, visitor: r.hub.Snapshot().byName["secured"], buf: rec.Raw,
			operator: &operator{name: rec.Operator, octets: []byte(rec.Operator)}}
		q, why := r.shard.accepted(ex, r.shard.parsed(ex))
		require.Equal(t, OK, why)
		name, _ := q.First(126)
		assert.Equal(t, want, string(name))
	}
}
