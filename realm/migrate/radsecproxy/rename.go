package radsecproxy

import (
	"regexp"
	"strings"

	"github.com/roamgate/roamgate/realm/migrate"
)

// RuleRename marks a User-Name that is changed before the original looks the
// realm up. The hub looks it up first.
const RuleRename = "renamed-first"

// The form of rewriteAttribute that is in use: another realm for one realm.
var (
	anyUser  = regexp.MustCompile(`^\^\((?:\.|\[\^@\])[*+]\)@((?:[A-Za-z0-9-]|\\\.)+)\$$`)
	newRealm = regexp.MustCompile(`^\\1@([A-Za-z0-9.-]+)$`)
)

// realms returns the realm that is replaced and what takes its place.
func (m *modify) realms() (old, replaced string, ok bool) {
	a, b := anyUser.FindStringSubmatch(m.text), newRealm.FindStringSubmatch(m.with)
	if a == nil || b == nil {
		return "", "", false
	}
	return strings.ToLower(strings.ReplaceAll(a[1], `\.`, ".")), strings.ToLower(b[1]), isName(strings.ToLower(b[1]))
}

// renames writes a route for each client whose User-Names get another realm
// before they are looked up: the old realm, from that client only, goes where
// the new one goes, under its new name. The reply has the old one again.
func (i *importer) renames(list *migrate.Node) {
	rank := 0
	for _, p := range i.clients {
		if p.in != nil && i.called[p] != "" {
			for _, m := range p.in.modify {
				if m.vendor == 0 && m.number == 1 {
					i.report.Note(m.pos, RuleRename, "client %s: radsecproxy looks the realm up in the changed User-Name, the hub in the one that came", p.name)
				}
			}
		}
		if p.user == nil || i.called[p] == "" {
			continue
		}
		o := p.get("rewriteattribute")
		old, replaced, ok := p.user.realms()
		var to *realmConf
		if ok {
			to = i.leads(replaced)
		}
		if to == nil {
			i.left(p.block, o, "only a replaced realm can be written: /^(.*)@old$/\\1@new/, with a realm that does not depend on the user")
			continue
		}
		rank++
		i.rename(list, p, to, old, replaced, min(rank, rankStep-1))
		i.mapped(p.block, o, "realms: %s of this client with rewrite.realm %s, undone in the reply", old, replaced)
	}
}

func (i *importer) rename(list *migrate.Node, p *client, to *realmConf, old, replaced string, rank int) {
	o := p.get("rewriteattribute")
	node := list.Item().Comment("client %s/rewriteAttribute, %s", p.name, i.at(o.pos))
	if isName(old) {
		node.Set("realm", old, i.from(o))
	} else {
		node.Set("name_regexp", "@"+old+"$", i.from(o))
	}
	node.Set("name", i.names.route.Make("rename-"+i.called[p]), "")
	node.Set("rank", rank, "in front of all others")
	node.Map("when").List("client").Value(i.called[p], i.origin(p.pos))
	node.Map("rewrite").Set("realm", replaced, i.from(o))
	i.decision(node, to)
}

// leads returns the realm that all names of a realm go to, nil where that
// depends on the user.
func (i *importer) leads(name string) *realmConf {
	for _, r := range i.live() {
		if r.exact == name || r.star {
			return r
		}
		if r.expr.MayMatchEnd("@" + name) {
			return nil
		}
	}
	return nil
}
