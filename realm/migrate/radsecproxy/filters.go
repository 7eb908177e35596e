package radsecproxy

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/radius/dict"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/migrate"
)

// rewriteBlocks writes a filter for each rewrite block, in the order in which
// the original applies its lines.
func (i *importer) rewriteBlocks() {
	for n := range i.blocks {
		b := &i.blocks[n]
		if b.kind != rewriteBlock {
			continue
		}
		if r := i.rewrites[b.name]; r.block == b {
			i.writeFilter(r)
			continue
		}
		i.report.Leave(b.pos, "rewrite "+b.name, "an earlier block has the name, which radsecproxy uses")
		for k := range b.opts {
			i.left(b, &b.opts[k], "the block is never used")
		}
	}
}

func (i *importer) writeFilter(r *rewrite) {
	w := filterWriter{importer: i, r: r, list: &migrate.Node{}}
	list := w.list.List("rules")
	w.only(list)
	for _, m := range r.modify {
		w.replace(list, m)
	}
	for _, v := range r.supplement {
		w.write(list, "supplement", v)
	}
	for _, v := range r.add {
		w.write(list, "add", v)
	}
	for _, o := range r.ignored {
		i.mapped(r.block, o, "has no effect, WhitelistMode being %s", map[bool]string{true: "on", false: "off"}[r.keep])
	}
	r.each("whitelistmode", func(o *option) { i.mapped(r.block, o, "remove or keep") })
	i.report.Map(r.pos, "rewrite "+r.name, "filters")
	if len(list.Items()) == 0 {
		return
	}
	name := i.names.filter.Make("rsp-" + r.name)
	i.filters[r] = name
	node := i.file("30-filters.yaml", "Filters").List("filters").Item().Comment("rewrite %s, %s", r.name, i.at(r.pos))
	node.Set("name", name, i.origin(r.pos))
	node.Take(list)
}

// filterWriter writes the rules of one filter.
type filterWriter struct {
	*importer
	r    *rewrite
	list *migrate.Node
}

// place is where an attribute stands, and what the dictionary says of it.
func (a attribute) place() (realm.Attribute, dict.Attr) {
	p := realm.Attribute{Name: a.name(), Type: radius.Type(a.number)}
	fact, ok := dict.Lookup("Attr-" + a.name())
	if !ok {
		fact.Data = dict.Octets
	}
	switch {
	case a.vendor != 0 && a.number == 256:
		return realm.Attribute{Name: a.name(), Place: realm.PlaceVendor, Type: radius.VendorSpecific, Vendor: uint32(a.vendor)}, fact
	case a.vendor != 0:
		p.Place, p.Type, p.Vendor, p.Sub = realm.PlaceVendorSub, radius.VendorSpecific, uint32(a.vendor), uint8(a.number)
	}
	return p, fact
}

// allowed reports whether our filters may do that; if not, the report says why.
func (w *filterWriter) allowed(action realm.Action, a attribute) bool {
	p, _ := a.place()
	rule := realm.Rule{Action: action, Attributes: []realm.Attribute{p}}
	if a.vendor != 0 && a.number == 0 {
		w.left(w.r.block, a.option, "a vendor has no attribute 0")
		return false
	}
	if why, _ := rule.Check(); why != "" {
		w.left(w.r.block, a.option, "%s", why)
		return false
	}
	return true
}

func (w *filterWriter) only(list *migrate.Node) {
	key, action := "remove", realm.FilterRemove
	if w.r.keep {
		key, action = "keep", realm.FilterKeep
	}
	var names *migrate.Node
	for _, a := range w.r.only {
		if !w.allowed(action, a) {
			continue
		}
		if names == nil {
			names = list.Item().List(key)
		}
		names.Value(w.named(a), w.from(a.option))
		w.mapped(w.r.block, a.option, "filters: %s %s", key, w.named(a))
	}
}

// named is the name of an attribute: the dictionary's, for people.
func (w *filterWriter) named(a attribute) string {
	if a.number == 256 {
		return a.name()
	}
	if fact, ok := dict.Lookup("Attr-" + a.name()); ok && fact.Name != "" && !strings.HasPrefix(fact.Name, "Attr-") {
		return fact.Name
	}
	return a.name()
}

func (w *filterWriter) replace(list *migrate.Node, m *modify) {
	if !w.allowed(realm.FilterReplace, m.attribute) {
		return
	}
	_, fact := m.place()
	switch {
	case m.expr == nil:
		w.left(w.r.block, m.option, "the expression has no like here")
		return
	case fact.Data != dict.String && fact.Data != dict.Octets:
		w.left(w.r.block, m.option, "%s is no text: an expression would see its octets", w.named(m.attribute))
		return
	}
	match, err := m.expr.RE2()
	with, ok := m.template()
	if err != nil || !ok {
		w.left(w.r.block, m.option, "the expression or its replacement has no like here")
		return
	}
	node := list.Item()
	node.Set("replace", w.named(m.attribute), w.from(m.option))
	node.Set("match", match, "")
	node.Set("with", with, "")
	w.mapped(w.r.block, m.option, "filters: replace %s", w.named(m.attribute))
}

// template is the replacement as our files write it, false where it names a
// group that is not there.
func (m *modify) template() (string, bool) {
	var b strings.Builder
	for i := 0; i < len(m.with); i++ {
		c := m.with[i]
		if c == '\\' && i+1 < len(m.with) && m.with[i+1] >= '1' && m.with[i+1] <= '9' {
			if int(m.with[i+1]-'0') > m.expr.Groups() {
				return "", false
			}
			b.WriteString("${" + m.with[i+1:i+2] + "}")
			i++
			continue
		}
		if c == '$' {
			b.WriteByte('$')
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

func (w *filterWriter) write(list *migrate.Node, key string, v value) {
	action := map[string]realm.Action{"supplement": realm.FilterSupplement, "add": realm.FilterAdd}[key]
	if !w.allowed(action, v.attribute) {
		return
	}
	text, ok := v.text()
	if !ok {
		w.left(w.r.block, v.option, "an attribute without a value is none")
		return
	}
	node := list.Item()
	node.Set(key, w.named(v.attribute), w.from(v.option))
	node.Set("value", text, "")
	w.mapped(w.r.block, v.option, "filters: %s %s", key, w.named(v.attribute))
}

// text is how our files write the value: the shortest that gives the same
// octets.
func (v value) text() (string, bool) {
	if len(v.octets) == 0 {
		return "", false
	}
	_, fact := v.place()
	for _, s := range []string{string(v.octets), number32(v.octets)} {
		got, err := dict.EncodeValue(fact, 0, s)
		if err == nil && bytes.Equal(got, v.octets) && migrate.Printable(s) == s && s != "" && !strings.Contains(s, "${") {
			return s, true
		}
	}
	return "0x" + hex.EncodeToString(v.octets), true
}

func number32(b []byte) string {
	if len(b) != 4 {
		return ""
	}
	return strconv.FormatUint(uint64(b[0])<<24|uint64(b[1])<<16|uint64(b[2])<<8|uint64(b[3]), 10)
}

func (i *importer) clientFilters(node *migrate.Node, p *client) {
	i.peerFilters(node, p.block, p.in, p.out)
}

func (i *importer) serverFilters(node *migrate.Node, s *server) {
	i.peerFilters(node, s.block, s.in, s.out)
}

// peerFilters writes which filters a peer has.
func (i *importer) peerFilters(node *migrate.Node, b *block, in, out *rewrite) {
	line := b.get("rewritein")
	if line == nil {
		line = b.get("rewrite")
	}
	for _, x := range []struct {
		key  string
		r    *rewrite
		line *option
	}{{"in", in, line}, {"out", out, b.get("rewriteout")}} {
		switch {
		case x.r != nil && i.filters[x.r] != "":
			origin := i.from(x.line)
			if x.line == nil {
				origin = "rewrite " + x.r.name + " is the default"
			}
			node.Set(x.key, i.filters[x.r], origin)
			i.mapped(b, x.line, "%s: %s", x.key, i.filters[x.r])
		case x.r != nil:
			i.mapped(b, x.line, "the rewrite has no rules")
		default:
			i.left(b, x.line, "there is no rewrite block %s in front; radsecproxy 1.9 goes on without", x.line.value())
		}
	}
	b.each("rewrite", func(o *option) { i.mapped(b, o, "has no effect beside rewriteIn") })
}

func (o *option) value() string {
	if o == nil {
		return ""
	}
	return o.val
}
