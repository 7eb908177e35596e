package freediameter

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/roamgate/roamgate/realm/migrate"
)

// rankStep leaves room between expressions for what comes later.
const rankStep = 10

// routes writes realms and the pools that they go to.
func (i *importer) routes() {
	i.aim(i.nodes)
	list := i.file("40-realms.yaml", "Realms").List("realms")
	var names []string
	add := func(name string) {
		if name = strings.ToLower(name); name != "" && isName(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, r := range i.rules {
		if r.criterion == "dr" && r.of.expr == nil {
			add(r.of.text)
		}
	}
	for _, n := range i.nodes {
		add(n.realm)
	}
	if slices.ContainsFunc(names, func(s string) bool { return !strings.Contains(s, ".") }) {
		i.file("40-realms.yaml", "").Map("identity").List("allow").Value("one_label", "")
	}
	best := i.subscribers(list, names)
	for _, name := range names {
		i.realm(list, name)
	}
	i.expressions(list)
	if all := i.rank(i.nodes, &subject{}); len(all) > 0 {
		entry := list.Item()
		entry.Set("realm", "default", "the rules of *")
		entry.Set("diameter", i.pool(all), "")
	}
	if len(list.Items()) == 0 {
		list.Comment("Nothing is left of the routes.")
	}
	for _, r := range i.rules {
		i.ruled(r, best)
	}
}

func (i *importer) realm(list *migrate.Node, name string) {
	all := i.rank(i.nodes, &subject{realm: name})
	entry := list.Item()
	entry.Set("realm", name, i.because(name))
	if len(all) == 0 {
		refuse(entry)
		return
	}
	entry.Set("diameter", i.pool(all), "")
}

// refuse answers as freeDiameter does where no peer has a score.
func refuse(entry *migrate.Node) {
	m := entry.Map("diameter")
	m.Set("action", "reject", "")
	m.Set("result", 3002, "nobody has a score")
}

// because says where the route of a realm comes from.
func (i *importer) because(name string) string {
	for _, r := range i.rules {
		if r.criterion == "dr" && r.of.takes(name) {
			return i.origin(r.pos)
		}
	}
	return "the realm of a peer"
}

// expressions writes the routes of dr=["..."], in the order of the file.
func (i *importer) expressions(list *migrate.Node) {
	done, rank := map[string]bool{}, 0
	for _, r := range i.rules {
		if r.criterion != "dr" || r.of.expr == nil || r.of.dead != nil || done[r.of.text] {
			continue
		}
		done[r.of.text] = true
		text, _ := r.of.expr.RE2() // it has one: the rule is not dead
		if rank += rankStep; rank == 2*rankStep {
			i.report.Note(r.pos, RuleSum, "scores of several expressions that take one realm add up in freeDiameter; here the first of the file counts")
		}
		i.report.Note(r.pos, RuleCase, "letters of both cases are alike in %s", r.of.String())
		entry := list.Item()
		entry.Set("realm_regexp", text, i.origin(r.pos))
		entry.Set("rank", rank, "")
		if all := i.rank(i.nodes, &subject{rule: r}); len(all) > 0 {
			entry.Set("diameter", i.pool(all), "")
		} else {
			refuse(entry)
		}
	}
}

// prefix are expressions for what a User-Name of digits begins with.
var prefix = regexp.MustCompile(`^\^([0-9]{5,15})(\.\*)?$`)

// digits is what the subscribers of a rule begin with, "" where it is for others.
func (r *rule) digits() string {
	if r.criterion != "un" {
		return ""
	}
	if r.of.expr == nil {
		if regexp.MustCompile(`^[0-9]{15}$`).MatchString(r.of.text) {
			return r.of.text
		}
		return ""
	}
	if m := prefix.FindStringSubmatch(r.of.text); m != nil {
		return m[1]
	}
	return ""
}

// subscribers writes ranges of IMSIs. They come before every realm here, so only those
// are written whose score no realm outweighs.
func (i *importer) subscribers(list *migrate.Node, names []string) (best int) {
	for _, name := range append(names, "") {
		for _, n := range i.rank(i.nodes, &subject{realm: name}) {
			best = max(best, n.score)
		}
	}
	var done []string
	for _, r := range i.rules {
		d := r.digits()
		if d == "" || r.score <= best || slices.Contains(done, d) {
			continue
		}
		all := i.rank(i.nodes, &subject{rule: r})
		if len(all) == 0 {
			continue
		}
		done = append(done, d)
		entry := list.Item()
		entry.Set("imsi", d, i.origin(r.pos))
		entry.Set("diameter", i.pool(all), "")
		i.report.Note(r.pos, RuleSubscriber, "subscribers %s go to these peers alone; freeDiameter tries those of the realm when they are away", d)
	}
	return best
}

// ruled says what became of a rule.
func (i *importer) ruled(r *rule, best int) {
	what := "rt_default " + r.String()
	leave := func(why string, args ...any) { i.report.Leave(r.pos, what, why, args...) }
	switch {
	case r.of.dead != nil:
		leave("the expression has no like here: %v", r.of.dead)
	case r.target.dead != nil:
		leave("the expression has no like here: %v", r.target.dead)
	case len(r.nodes) == 0:
		leave("no peer that is written has this target")
	case r.criterion == "*":
		i.report.Map(r.pos, what, "the order of all pools")
	case r.criterion == "dr" && r.of.expr == nil && !isName(r.of.text):
		leave("%q is no name of a realm", r.of.text)
	case r.criterion == "dr":
		i.report.Map(r.pos, what, "realms, and the order of their pool")
	case r.criterion == "dh" && r.of.expr == nil && r.target.expr == nil && !r.byRealm && strings.EqualFold(r.of.text, r.target.text) && r.score > 0:
		i.report.Map(r.pos, what, "a Destination-Host that is a peer has its requests")
	case r.criterion == "dh":
		leave("a request for a host that is no peer goes the way of its realm")
	case r.criterion == "or" || r.criterion == "oh":
		leave("who a request is from is told by the peer that sends it: write a route with when: {client: ...}")
	case r.digits() != "" && r.score > best:
		i.report.Map(r.pos, what, "realms.imsi")
	case r.digits() != "":
		leave("a score of %d does not outweigh what realms have (%d), and subscribers come first here", r.score, best)
	default:
		leave("routes are by realm and by ranges of IMSIs; of User-Name and Session-Id there is nothing more")
	}
}

// balance is how peers of one score share.
func (i *importer) balance() string {
	for _, e := range i.extensions {
		switch e.name {
		case "rt_load_balance":
			return "least_outstanding"
		case "rt_randomize":
			return "device"
		}
	}
	return "first"
}

// pool gives the name of the pool with these peers.
func (i *importer) pool(all []ranked) string {
	key, names := i.balance(), []string{}
	for _, r := range all {
		key += fmt.Sprintf(" %s %d", r.name, r.score-all[0].score)
		names = append(names, r.name)
	}
	if name := i.made[key]; name != "" {
		return name
	}
	name := i.pools.Make(strings.Join(names, "-"))
	i.made[key] = name
	entry := i.file("20-peers.yaml", "Diameter nodes and pools of them").List("pools").Item()
	entry.Set("name", name, "")
	members := entry.List("peers")
	if len(all) == 1 {
		members.Value(all[0].name, "")
		return name
	}
	priority, last := 0, 0
	for n, r := range all {
		if n == 0 || r.score != last {
			priority, last = priority+1, r.score
		}
		m := members.Item()
		m.Set("peer", r.name, "")
		m.Set("priority", priority, fmt.Sprintf("a score of %d", r.score))
	}
	entry.Set("balance", i.balance(), "")
	return name
}
