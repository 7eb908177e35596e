package radsecproxy

import (
	"slices"
	"strconv"
	"strings"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/migrate"
)

// live are the realms that the original comes to.
func (c *Config) live() (out []*realmConf) {
	for _, r := range c.realms {
		if r.expr == nil {
			continue
		}
		out = append(out, r)
		if r.star {
			break
		}
	}
	return out
}

// route is a realm that is written.
type route struct {
	*realmConf
	text   string // its name_regexp, "": it is written by its name
	target string // what it comes to, for comparing
}

func (i *importer) writeRealms() {
	i.retries()
	root := i.file("40-realms.yaml", "Realms")
	identity := root.Map("identity").Comment("radsecproxy looks at a User-Name's octets only: what stands behind the last @ is the realm.")
	for _, word := range []string{"several_at", "backslash", "one_label"} {
		identity.List("allow").Value(word, "")
	}
	i.loops(root)
	list := root.List("realms")
	i.renames(list)
	live := i.live()
	comes := make(map[*realmConf]bool, len(live))
	for _, r := range live {
		comes[r] = true
	}
	before := earlier{exact: make(map[string]*realmConf), pattern: make(map[string]*realmConf)}
	for n, r := range i.realms {
		if !comes[r] {
			i.voidRealm(r, r.why(live))
			continue
		}
		i.writeRealm(list, r, rankStep*(n+1), &before)
	}
	if len(list.Items()) == 0 {
		list.Comment("Nothing is left of the realms.")
	}
}

// why says why a realm counts for nothing to the original.
func (r *realmConf) why(live []*realmConf) string {
	switch {
	case r.expr != nil:
		star := live[len(live)-1]
		return "never reached: realm * stands in front, " + migrate.At(star.pos)
	case strings.HasPrefix(r.dead, "no server"):
		return r.dead + ": radsecproxy leaves the realm out"
	}
	return r.dead
}

// voidRealm leaves out a realm that counts for nothing to the original either:
// to write none is to say the same, so its lines are mapped.
func (i *importer) voidRealm(r *realmConf, why string) {
	i.report.Note(r.pos, "without-effect", "realm %s is left out: %s", r.name, why)
	i.report.Map(r.pos, "realm "+r.name, "left out: %s", why)
	for n := range r.opts {
		i.mapped(r.block, &r.opts[n], "left out with its realm")
	}
}

// leaveRealm names a realm that is not written.
func (i *importer) leaveRealm(r *realmConf, why string) {
	i.report.Leave(r.pos, "realm "+r.name, "%s", why)
	for n := range r.opts {
		i.left(r.block, &r.opts[n], "%s", why)
	}
}

// rankStep leaves room between the expressions for what comes later.
const rankStep = 10

// earlier are the realms in front of one.
type earlier struct {
	exact, pattern map[string]*realmConf
	expressions    []route
}

// same is the realm that takes all of what r matches by its very text.
func (e *earlier) same(r *realmConf) *realmConf {
	if b := e.exact[r.exact]; b != nil && r.exact != "" {
		return b
	}
	return e.pattern[r.pattern]
}

func (e *earlier) add(r route) {
	e.exact[r.exact], e.pattern[r.pattern] = r.realmConf, r.realmConf
	if r.text != "" {
		e.expressions = append(e.expressions, r)
	}
}

func (i *importer) writeRealm(list *migrate.Node, r *realmConf, rank int, before *earlier) {
	this := route{realmConf: r, target: target(r)}
	if b := before.same(r); b != nil {
		i.voidRealm(r, "never reached: realm "+b.name+" stands in front, "+migrate.At(b.pos))
		return
	}
	hides := ""
	for _, b := range before.expressions {
		if r.exact != "" && b.target != this.target && b.expr.MayMatchEnd("@"+r.exact) {
			hides = b.name
			break
		}
	}
	if r.exact == "" && !r.star || hides != "" {
		text, err := r.expr.RE2()
		if err != nil {
			i.leaveRealm(r, "its requests go to the realms behind it: the expression has no like here: "+err.Error())
			return
		}
		this.text = text
	}
	if hides != "" {
		i.report.Note(r.pos, RuleOrder, "realm %s is written as an expression: some of its names go to realm %s in front of it", r.name, hides)
	}
	i.prevent(list, this, rank)
	node := list.Item().Comment("realm %s, %s", r.name, i.at(r.pos))
	switch {
	case this.text != "":
		node.Set("name_regexp", this.text, i.origin(r.pos))
		node.Set("rank", rank, "the order of the file")
		i.report.Map(r.pos, "realm "+r.name, "realms: name_regexp %s", this.text)
	case r.star:
		names := node.List("realm")
		names.Value("default", i.origin(r.pos))
		names.Value("none", "a User-Name without a realm is matched too")
		i.report.Map(r.pos, "realm "+r.name, "realms: default and none")
	default:
		node.Set("realm", r.exact, i.origin(r.pos))
		i.report.Map(r.pos, "realm "+r.name, "realms: %s", r.exact)
	}
	i.decision(node, r)
	before.add(this)
}

// prevent writes what LoopPrevention does: a client's requests never go to the
// server of its name.
func (i *importer) prevent(list *migrate.Node, r route, rank int) {
	if len(r.servers) == 0 || i.homes[r.servers[0]] == nil || !i.preventsLoops(r.servers[0]) {
		return
	}
	s := r.servers[0]
	n := 0
	for _, p := range i.clients {
		if p.name != s.name || i.called[p] == "" || n == rankStep-1 {
			continue
		}
		n++
		subjects := []string{r.exact}
		if r.star {
			subjects = []string{realm.NameDefault, realm.NameNone}
		}
		for _, subject := range subjects {
			node := list.Item().Comment("realm %s for client %s: LoopPrevention", r.name, p.name)
			if r.text != "" {
				node.Set("name_regexp", r.text, i.origin(r.pos))
				node.Set("rank", rank-rankStep+n, "in front of the next")
			} else {
				node.Set("realm", subject, i.origin(r.pos))
				node.Set("rank", n, "")
			}
			node.Set("name", i.names.route.Make("loop-"+i.called[p]), "")
			node.Map("when").List("client").Value(i.called[p], i.origin(p.pos))
			node.Set("reject", "a request never goes back to where it came from", "server "+s.name+" has the client's name")
			if acct := i.pool(r.realmConf, r.acct); acct != "" && r.acct[0].name != p.name {
				node.Set("accounting", acct, i.from(r.get("accountingserver")))
			}
		}
		i.report.Note(r.pos, RuleSilence, "realm %s: LoopPrevention rejects requests of client %s, which radsecproxy does not answer", r.name, p.name)
	}
}

// target is where a realm leads: two of one target cannot be told apart.
func target(r *realmConf) string {
	var b strings.Builder
	for _, list := range [][]*server{r.servers, r.acct} {
		for _, s := range list {
			b.WriteString(strconv.Quote(s.name))
		}
		b.WriteByte('/')
	}
	b.WriteString(strconv.Quote(r.text("replymessage")))
	return b.String()
}

// decision writes what becomes of a realm's requests.
func (i *importer) decision(node *migrate.Node, r *realmConf) {
	auth, acct := i.pool(r, r.servers), i.pool(r, r.acct)
	found := i.discovery(r.servers)
	message := r.get("replymessage")
	switch {
	case auth != "":
		node.Set("auth", auth, i.from(r.get("server")))
		if message != nil {
			i.mapped(r.block, message, "is sent only where a realm has no server; the hub says itself why it rejects")
		}
	case found != "":
		node.Set("discover", found, i.from(r.get("server")))
		if message != nil {
			i.left(r.block, message, "the hub says itself why it rejects, also where it finds no server")
		}
	case message != nil && printable(message.val):
		node.Set("reject", message.val, i.from(message))
		i.mapped(r.block, message, "realms.reject")
	case len(r.servers) > 0:
		node.Set("reject", "the home network cannot be reached", "its servers are left out: "+r.servers[0].usable())
	default:
		node.Set("reject", "no home server for this realm", "radsecproxy does not answer, "+i.origin(r.pos))
		i.report.Note(r.pos, RuleSilence, "realm %s has no server and no usable ReplyMessage: the hub rejects, radsecproxy does not answer", r.name)
		i.left(r.block, message, "no text that a Reply-Message of the hub can be")
	}
	if acct != "" {
		node.Set("accounting", acct, i.from(r.get("accountingserver")))
	} else if found := i.discovery(r.acct); found != "" && auth != "" {
		node.Set("discover", found, i.from(r.get("accountingserver")))
	}
	i.serverLines(r, "server", r.servers)
	i.serverLines(r, "accountingserver", r.acct)
	i.accounting(r, acct)
}

// discovery is the one that a realm's servers are found by, "" where one of them
// is named.
func (i *importer) discovery(servers []*server) string {
	if len(servers) == 0 || slices.ContainsFunc(servers, func(s *server) bool { return i.homes[s] != nil }) {
		return ""
	}
	for _, s := range servers {
		if name := i.discoveries[s]; name != "" {
			return name
		}
	}
	return ""
}

func printable(s string) bool {
	return strings.TrimSpace(s) != "" && migrate.Printable(s) == s
}

func (i *importer) serverLines(r *realmConf, name string, servers []*server) {
	for n, o := range r.all(name) {
		switch s := servers[n]; {
		case i.homes[s] != nil:
			i.mapped(r.block, o, "pools: %s", i.homes[s].name)
		case i.discoveries[s] != "" && i.discovery(servers) == i.discoveries[s]:
			i.mapped(r.block, o, "realms.discover: %s", i.discoveries[s])
		case i.discoveries[s] != "":
			i.left(r.block, o, "a realm has a pool or is discovered, not both")
		default:
			i.left(r.block, o, "server %s is left out", s.name)
		}
	}
}

func (i *importer) accounting(r *realmConf, pool string) {
	answers := r.get("accountingresponse")
	answered := answers != nil && answers.on
	if pool == "" && !answered {
		i.report.Note(r.pos, RuleAccounting, "accounting of realm %s is stored and acknowledged; radsecproxy ignores it", r.name)
	}
	switch {
	case answered && pool == "":
		i.mapped(r.block, answers, "a record is stored before it is acknowledged")
	case answered:
		i.mapped(r.block, answers, "has no effect with an accountingServer")
	case answers != nil:
		i.mapped(r.block, answers, "the hub stores and acknowledges: see the note %s", RuleAccounting)
	}
	r.each("accountingresponse", func(o *option) { i.mapped(r.block, o, "a later line counts") })
	r.each("accountinglog", func(o *option) { i.mapped(r.block, o, "every record is in the spool: roamgate records list") })
}

// defaultTTL is the attribute that the original counts hops in.
const defaultTTL = "27262:1"

func (i *importer) loops(root *migrate.Node) {
	m := &i.main
	attribute, origin := defaultTTL, "the default, which radsecproxy always counts down"
	if o := m.get("ttlattribute"); o != nil {
		attribute, _ = ttlAttribute(o.val)
		origin = i.from(o)
		i.mapped(m, o, "loops.hop_attribute: %s", attribute)
	}
	loops := root.Map("loops")
	loops.Set("hop_attribute", attribute, origin)
	hops := m.get("addttl")
	for _, s := range i.servers {
		if o := s.get("addttl"); hops == nil && o != nil && i.homes[s] != nil {
			hops = o
		}
	}
	if hops == nil {
		return
	}
	loops.Set("hops", int(hops.n), i.from(hops))
	i.mapped(m, m.get("addttl"), "loops.hops: %d", hops.n)
	m.each("addttl", func(o *option) { i.mapped(m, o, "a later line counts") })
	for _, s := range i.servers {
		s.each("addttl", func(o *option) {
			if o.n == hops.n {
				i.mapped(s.block, o, "loops.hops: %d", hops.n)
			} else {
				i.left(s.block, o, "the hub counts down from %d for all homes: loops.hops", hops.n)
			}
		})
	}
	if m.get("addttl") == nil {
		i.report.Note(realm.Pos{File: i.path, Line: hops.pos.Line}, "hops", "the hub adds the number of hops toward all homes")
	}
}
