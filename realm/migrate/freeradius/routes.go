package freeradius

import (
	"regexp"
	"strings"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/migrate"
)

// rankStep leaves room for what an operator puts between two expressions.
const rankStep = 10

// answeredLocally is the text of a route whose realm the original answered.
const answeredLocally = "this realm was answered locally: give it a pool"

// writeRoutes writes the realms in the order in which the original looks for
// them: the modules one after the other; for each the name itself, then the
// expressions in their order, then DEFAULT.
func (w *writer) writeRoutes() {
	list := w.config.Realm(realmsFile).List("realms")
	calls := w.callsOfModules()
	if len(calls) == 0 {
		w.report.Note(w.Tree.Root.Pos, "no-realm-module", "no virtual server calls a realm module: nothing was proxied")
	}
	// at and bare say that names with an @, and without, have found a realm.
	at, bare := false, false
	for n, i := range calls {
		w.instance(i)
		if i.Delimiter == '@' && !i.Prefix {
			at, bare = w.suffixRoutes(list, i, n > 0, at, bare)
			continue
		}
		at, bare = w.otherRoutes(list, i, at, bare)
	}
	for _, s := range w.Tree.Root.Subs("realm") {
		w.sections[s.Second] = append(w.sections[s.Second], s)
	}
	for _, r := range w.Realms {
		w.realmSection(r)
	}
	for _, i := range w.instances {
		if i.Section != nil && !w.said[i.Section] {
			w.accept(i.Section.Title(), i.Section, "nothing: no virtual server calls it")
		}
	}
}

// callsOfModules gives the realm modules of the first virtual server.
func (w *writer) callsOfModules() (calls []*Instance) {
	if len(w.Hosts) == 0 || !w.Proxies {
		return nil
	}
	modules := func(steps []step) (all []*Instance) {
		for _, s := range steps {
			if s.instance != nil {
				all = append(all, s.instance)
			}
		}
		return all
	}
	h := w.Hosts[0]
	a, b := modules(h.Steps[Auth]), modules(h.Steps[Acct])
	if len(a) == 0 {
		return b
	}
	if len(a) != len(b) {
		w.report.Note(h.Pos, "other-accounting", "authorize and preacct find realms in different ways: accounting goes the way of authorize")
	}
	return a
}

func (w *writer) instance(i *Instance) {
	if i.Section == nil || w.said[i.Section] {
		return
	}
	w.accept(i.Section.Title(), i.Section, "the order of routes")
}

// suffixRoutes are those of user@realm. Behind another module, which comes
// first for names that it finds a realm in, they are expressions too.
func (w *writer) suffixRoutes(list *migrate.Node, i *Instance, later, at, bare bool) (bool, bool) {
	for _, r := range w.Realms {
		switch {
		case at || r.Match != nil || r.Odd != nil || isDefault(r):
		case later || strings.EqualFold(r.Name, realm.NameNone): // none is a word of ours
			w.expression(list, r, "realm_regexp", "^"+regexp.QuoteMeta(r.Name)+"$")
		default:
			w.plain(list, r, strings.ToLower(r.Name))
		}
	}
	for _, r := range w.patterns {
		if !at && r.Odd == nil {
			w.expression(list, r, "realm_regexp", r.Name[1:])
		}
	}
	if !at {
		if r := w.fallback(i); r != nil {
			w.plain(list, r, realm.NameDefault)
			at = true
		}
	}
	if !bare && !i.IgnoreNull {
		if r := w.find(nullName); r != nil && !(i.IgnoreDefault && r.Name == defaultName) {
			w.plain(list, r, realm.NameNone)
			bare = true
		}
	}
	return at, bare
}

func isDefault(r *Realm) bool { return strings.EqualFold(r.Name, defaultName) }

func (w *writer) fallback(i *Instance) *Realm {
	if i.IgnoreDefault {
		return nil
	}
	return w.exact[strings.ToLower(defaultName)]
}

// otherRoutes are those of a module with another delimiter: expressions over
// the whole name.
func (w *writer) otherRoutes(list *migrate.Node, i *Instance, at, bare bool) (bool, bool) {
	if at && bare {
		w.report.Note(i.Pos, "never-reached", "module %s: the modules in front of it find a realm for every name", i.Name)
		return at, bare
	}
	// Names with an @, or those without, may have found theirs before.
	some, none := ".*", ""
	switch {
	case bare:
		none = ".*@"
	case at:
		some = "[^@]*"
	}
	d := regexp.QuoteMeta(string(i.Delimiter))
	whole := func(text string) string { // a realm as it stands in a name
		switch {
		case i.Prefix && at:
			return "^" + text + d + "[^@]*$"
		case i.Prefix:
			return "^" + text + d + none
		case at:
			return "^" + some + d + text + "$"
		case bare && !strings.Contains(text, "@"):
			return "@.*" + d + text + "$"
		}
		return d + text + "$"
	}
	for _, r := range w.Realms {
		if r.Match == nil && r.Odd == nil && !isDefault(r) && strings.IndexByte(r.Name, i.Delimiter) < 0 {
			w.expression(list, r, "name_regexp", whole(regexp.QuoteMeta(r.Name)))
		}
	}
	for _, r := range w.patterns {
		w.report.Note(r.Pos, "expression-behind", "realm %s is looked for behind %q too by module %s: that is not written", r.Name, string(i.Delimiter), i.Name)
	}
	if r := w.fallback(i); r != nil {
		other := "[^" + classQuote(i.Delimiter) + "]*"
		w.expression(list, r, "name_regexp", whole(other))
	}
	if r := w.find(nullName); !bare && !i.IgnoreNull && r != nil && !(i.IgnoreDefault && r.Name == defaultName) {
		w.plain(list, r, realm.NameNone)
		bare = true
		if i.Delimiter != '@' && !at {
			w.expression(list, r, "name_regexp", "^[^"+classQuote(i.Delimiter)+"]*$")
			at = true
		}
	}
	return at, bare
}

func classQuote(c byte) string {
	if strings.IndexByte(`\]^-`, c) >= 0 {
		return `\` + string(c)
	}
	return string(c)
}

// plain writes a route for a realm, none or default.
func (w *writer) plain(list *migrate.Node, r *Realm, subject string) {
	key := "realm " + subject
	if w.used[key] {
		return
	}
	text := w.badRealm(subject)
	if text != "" && r.Name == localName {
		return // nobody has it
	}
	if text != "" {
		w.report.Note(r.Pos, "malformed-realm", "realm %s is not written: %s", r.Name, text)
		return
	}
	w.used[key] = true
	n := list.Item()
	n.Set("realm", subject, from(r.Pos))
	w.target(n, r, true)
}

// badRealm says why no request of the hub can have this realm.
func (w *writer) badRealm(name string) string {
	if name == realm.NameNone || name == realm.NameDefault {
		return ""
	}
	labels := strings.Split(name, ".")
	if len(labels) == 1 && w.filters {
		return "it has no dot, and filter_username rejects such names"
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" && isASCII(label) {
			return "it is no row of letters, digits and hyphens between dots, and such names are rejected"
		}
	}
	return ""
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// expression writes a route for an expression.
func (w *writer) expression(list *migrate.Node, r *Realm, key, text string) {
	if w.used[key+" "+text] {
		return
	}
	w.used[key+" "+text] = true
	w.rank += rankStep
	n := list.Item()
	n.Set(key, text, from(r.Pos))
	n.Set("rank", w.rank, "the order of the file")
	w.target(n, r, key == "realm_regexp")
}

// target says where the requests of a route go. suffix says that the realm is
// what stands behind the @.
func (w *writer) target(n *migrate.Node, r *Realm, suffix bool) {
	auth, acct := w.poolOf(r, Auth), w.poolOf(r, Acct)
	if r.Strip && !suffix && (auth != "" || acct != "") {
		n.Comment("The original takes off what stands in front; the hub takes off only what stands behind an @.")
		n.Set("reject", "this realm is not served here", "add nostrip there, or keep it")
		w.report.Note(r.Pos, "strip-in-front", "realm %s is stripped where it does not stand behind an @: such names are rejected", r.Name)
		return
	}
	switch {
	case auth != "" && acct != "":
		n.Set("auth", auth, at(poolPair(r, Auth)))
		n.Set("accounting", acct, at(poolPair(r, Acct)))
	case auth != "":
		n.Comment("Accounting was stored there; here it ends in the spool.")
		n.Set("auth", auth, at(poolPair(r, Auth)))
	case acct != "":
		n.Comment("Users were authenticated there: %s.", answeredLocally)
		n.Set("accounting", acct, at(poolPair(r, Acct)))
	default:
		n.Comment("%s", answeredLocally)
		n.Set("reject", "this realm is not served here", "")
	}
	if r.Strip && auth+acct != "" && n.Has("auth") || r.Strip && n.Has("accounting") {
		n.Map("rewrite").Set("strip", true, "there is no nostrip")
	}
}

// poolOf is the name of our pool, "" where there is none that the hub reaches.
func (w *writer) poolOf(r *Realm, k Kind) string {
	if p := r.Pools[k]; p != nil {
		return w.pools[p]
	}
	return ""
}

// poolPair finds the directive that names a realm's pool.
func poolPair(r *Realm, k Kind) *Pair {
	keys := [kinds][]string{Auth: {"auth_pool", "pool", "home_server_pool", "authhost"}, Acct: {"acct_pool", "pool", "home_server_pool", "accthost"}}
	for _, key := range keys[k] {
		if p := r.Section.Pair(key); p != nil {
			return p
		}
	}
	return nil
}

// realmSection reports a realm's directives.
func (w *writer) realmSection(r *Realm) {
	for _, s := range w.sections[r.Name] {
		if w.said[s] {
			continue
		}
		if r.Odd != nil {
			w.refuse(s, "the expression is not one of RE2, which has no look-around and no references: %v", r.Odd)
			continue
		}
		w.begin(s, "a route")
		w.each(s, "", func(p *Pair) { w.realmPair(r, s, p) })
		for _, i := range s.Items {
			if i.Section != nil {
				w.refuse(i.Section, "not known")
			}
		}
	}
	remote := w.poolOf(r, Auth) != "" || w.poolOf(r, Acct) != ""
	unused := r.Name == localName && w.filters
	if r.Odd == nil && w.poolOf(r, Auth) == "" && !unused {
		w.report.Note(r.Pos, "local-answer", "realm %s: Access-Requests were answered locally and are rejected here: give it a pool", r.Name)
	}
	if r.Strip && remote && r.Odd == nil {
		w.report.Note(r.Pos, "strip", "realm %s: homes get the user without the realm, as there is no nostrip; EAP fails where a home compares both", r.Name)
	}
}

func (w *writer) realmPair(r *Realm, s *Section, p *Pair) {
	unreached := "none of its homes is one of the hub"
	switch p.Name {
	case "auth_pool", "authhost":
		if p.Value != "LOCAL" && w.poolOf(r, Auth) == "" {
			w.left(s, p, "%s", unreached)
			return
		}
		w.mapped(s, p, "auth")
	case "acct_pool", "accthost":
		if p.Value != "LOCAL" && w.poolOf(r, Acct) == "" {
			w.left(s, p, "%s", unreached)
			return
		}
		w.mapped(s, p, "accounting")
	case "pool", "home_server_pool":
		if w.poolOf(r, Auth)+w.poolOf(r, Acct) == "" {
			w.left(s, p, "%s", unreached)
			return
		}
		w.mapped(s, p, "auth, accounting")
	case "coa_pool":
		for _, h := range r.Pools[CoA].Servers {
			if w.coa[h] == nil {
				w.left(s, p, "no client with the address and secret of %s sends requests: write dynauth: and operators: at one", h.Name)
				return
			}
		}
		w.mapped(s, p, "dynauth and operators of clients")
	case "nostrip":
		if !p.Bare {
			w.mapped(s, p, "nothing: with a value the original does not see it")
			return
		}
		w.mapped(s, p, "no rewrite")
	case "secret", "ldflag":
		w.mapped(s, p, "the home and its pool")
	case "virtual_server":
		w.left(s, p, "a virtual server answers by itself: the hub has no users and no policy of its own")
	default:
		w.left(s, p, "not known")
	}
}
