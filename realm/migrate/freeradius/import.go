package freeradius

import (
	"fmt"
	"slices"
	"strings"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/migrate"
)

// Import reads a FreeRADIUS configuration and writes one of ours that does the
// same, with the report of every directive.
func Import(src Source) (*migrate.Config, *migrate.Report, error) {
	t, err := Read(src)
	if err != nil {
		return nil, nil, err
	}
	m, err := Understand(t)
	if err != nil {
		return nil, nil, err
	}
	w := &writer{
		Model: m, config: migrate.NewConfig(), report: &migrate.Report{Source: src.Dir},
		homes: map[*Server]string{}, pools: map[*Pool]string{}, alikePools: map[string][]*Pool{}, sections: map[string][]*Section{}, coa: map[*Server]*Client{}, said: map[*Section]bool{}, used: map[string]bool{},
		entries: map[string]string{}, trusts: map[*Section]string{},
	}
	w.all()
	return w.config, w.report, nil
}

// writer writes a Model down.
type writer struct {
	*Model
	config *migrate.Config
	report *migrate.Report

	clientNames, homeNames, poolNames, secretNames, trustNames migrate.Names

	entries map[string]string   // of tls, by what they say
	trusts  map[*Section]string // by the sections that they are made of

	homes map[*Server]string // their names in our files
	pools map[*Pool]string
	// Pools that are written, by folded name.
	alikePools map[string][]*Pool
	coaRealms  []*Realm              // with a coa_pool
	sections   map[string][]*Section // of realms, by name
	coa        map[*Server]*Client   // servers of type coa that are clients
	said       map[*Section]bool     // sections that the report has
	used       map[string]bool       // subjects of routes
	rank       int                   // of the last expression
	// What the first virtual server refuses, which the others must too.
	filters bool
}

func (w *writer) all() {
	w.header()
	w.mainFile()
	w.identity()
	w.planCoA()
	w.writeClients()
	w.writeHomes()
	w.writePools()
	w.writeRoutes()
	w.settle()
	w.proxySection()
	w.policies()
	w.remarks()
	slices.SortFunc(w.config.Realms, func(a, b migrate.RoutingFile) int { return strings.Compare(a.Name, b.Name) })
}

const (
	tlsFile     = "05-tls.yaml"
	clientsFile = "10-clients.yaml"
	homesFile   = "20-homes.yaml"
	realmsFile  = "30-realms.yaml"
)

func (w *writer) header() {
	for name, text := range map[string]string{
		clientsFile: "Who may send requests: from the client sections.",
		homesFile:   "Home servers and pools: from the home_server and home_server_pool sections.",
		realmsFile:  "Where requests go: from the realm sections.",
	} {
		w.config.Realm(name).Comment("%s\nImported from FreeRADIUS; each line says where it comes from.", text)
	}
	w.config.Main.Comment("Imported from the FreeRADIUS configuration in %s.", w.report.Source)
}

// mapped and left report one pair of a section.
func (w *writer) mapped(s *Section, p *Pair, how string, args ...any) {
	w.report.Map(p.Pos, s.Title()+"/"+p.Name, how, args...)
}

func (w *writer) left(s *Section, p *Pair, why string, args ...any) {
	w.report.Leave(p.Pos, s.Title()+"/"+p.Name, why, args...)
}

// begin reports the section itself.
func (w *writer) begin(s *Section, how string, args ...any) {
	w.said[s] = true
	w.report.Map(s.Pos, s.Title(), how, args...)
}

// refuse reports a section and all that is in it as not mapped.
func (w *writer) refuse(s *Section, why string, args ...any) {
	w.deny(s.Title(), s, fmt.Sprintf(why, args...))
}

func (w *writer) deny(path string, s *Section, text string) {
	w.said[s] = true
	w.report.Leave(s.Pos, path, "%s", text)
	w.refuseItems(s, path, text)
}

func (w *writer) refuseItems(s *Section, path, text string) {
	for _, i := range s.Items {
		if i.Pair != nil {
			w.report.Leave(i.Pair.Pos, path+"/"+i.Pair.Name, "%s", text)
			continue
		}
		w.report.Leave(i.Section.Pos, path+"/"+i.Section.Title(), "%s", text)
		w.refuseItems(i.Section, path+"/"+i.Section.Title(), text)
	}
}

// accept reports a section and all that is in it as mapped.
func (w *writer) accept(path string, s *Section, how string) {
	w.said[s] = true
	w.report.Map(s.Pos, path, "%s", how)
	for _, i := range s.Items {
		if i.Pair != nil {
			w.report.Map(i.Pair.Pos, path+"/"+i.Pair.Name, "%s", how)
		} else {
			w.accept(path+"/"+i.Section.Title(), i.Section, how)
		}
	}
}

// each reports the pairs of a section by a table; a pair that is there twice
// counts once, as for the original.
func (w *writer) each(s *Section, several string, f func(p *Pair)) {
	seen := map[string]bool{}
	for _, i := range s.Items {
		switch p := i.Pair; {
		case p == nil:
		case seen[p.Name] && p.Name != several:
			w.mapped(s, p, "nothing: the first one counts")
		default:
			seen[p.Name] = true
			f(p)
		}
	}
}

func at(p *Pair) string {
	if p == nil {
		return ""
	}
	return migrate.From(p.Pos)
}

func from(pos realm.Pos) string { return migrate.From(pos) }

// secret keeps a secret in a file of its own.
func (w *writer) secret(n *migrate.Node, kind, name, secret string, p *Pair, pos realm.Pos) bool {
	path, err := w.config.Secret(w.secretNames.Make(kind+"-"+name), []byte(secret))
	if err != nil {
		w.report.Leave(pos, kind+" "+name+"/secret", "%v", err)
		return false
	}
	n.Set("secret_file", path, at(p))
	return true
}

// identity says which User-Names are read: the original takes all.
func (w *writer) identity() {
	root := w.config.Realm(realmsFile)
	w.filters = len(w.Hosts) > 0 && w.shippedFilter()
	for _, h := range w.Hosts {
		has := slices.ContainsFunc(h.Steps[Auth], func(s step) bool { return s.instance == nil })
		w.filters = w.filters && has
	}
	words := []string{"backslash"}
	if !w.filters {
		words = []string{"several_at", "backslash", "one_label"}
	}
	n := root.Map("identity").Comment("The original looks behind the last @ and takes every name for a realm.")
	for _, word := range words {
		n.List("allow").Value(word, "")
	}
}

// remarks are what an operator has to know of, once.
func (w *writer) remarks() {
	root := w.Tree.Root.Pos
	w.report.Note(root, "malformed-realm", "a User-Name whose realm is empty or has other characters than letters, digits and hyphens between dots is rejected (RFC 7542); the original looked it up")
	if w.filters {
		w.report.Note(root, "filter-username", "blanks and several dots in front of the @ are passed to the home; filter_username rejected them")
	}
	for _, name := range w.Tree.Missing {
		w.report.Note(root, "environment", "$ENV{%s} is not set here: it was taken as empty", name)
	}
	for _, p := range w.Tree.Unread {
		w.report.Note(p.Pos, "missing-file", "the optional file %s is not there", p.Value)
	}
	dirs := map[string]bool{}
	for _, r := range w.patterns {
		for _, dir := range w.Tree.Several {
			if strings.HasPrefix(r.Pos.File, dir+"/") {
				dirs[dir] = true
			}
		}
	}
	for _, dir := range w.Tree.Several {
		if dirs[dir] {
			w.report.Note(root, "file-order", "expressions stand in files of %s: the original tries them as the file system lists the files, here in the order of their names", dir)
		}
	}
}

// settle reports the sections of peers and routing that nothing has reported:
// those that nothing refers to.
func (w *writer) settle() {
	root := w.Tree.Root
	for _, name := range []string{"home_server", "home_server_pool", "server_pool", "realm", "client"} {
		for _, s := range root.Subs(name) {
			if !w.said[s] {
				w.refuse(s, "nothing refers to it")
			}
		}
	}
}

// proxySection reports "proxy server { }" and what has a meaning at the top.
func (w *writer) proxySection() {
	for i, s := range w.Tree.Root.Subs("proxy") {
		if i > 0 {
			w.refuse(s, "the first section counts")
			continue
		}
		w.begin(s, "the hub")
		w.each(s, "", func(p *Pair) { w.proxyPair(s, p) })
		for _, i := range s.Items {
			if i.Section != nil {
				w.refuse(i.Section, "not known")
			}
		}
	}
}

func (w *writer) proxyPair(s *Section, p *Pair) {
	yes, err := boolean(s, p.Name, false)
	switch p.Name {
	case "default_fallback":
		if err == nil && yes {
			w.left(s, p, "a realm whose homes are all dead is not sent to another operator's")
			return
		}
		w.mapped(s, p, "the hub does not do it either")
	case "wake_all_if_all_dead":
		if err == nil && yes {
			w.mapped(s, p, "panic: of the pools")
			return
		}
		w.mapped(s, p, "panic: is off")
	case "dynamic", "directory":
		w.left(s, p, "home servers are not added at run time: edit the files, they are read again")
	case "retry_delay", "retry_count", "dead_time":
		w.mapped(s, p, "only realms with authhost use it; the hub has timers of its own")
	case "synchronous", "post_proxy_authorize":
		w.mapped(s, p, "FreeRADIUS 3 does not read it")
	default:
		w.left(s, p, "not known")
	}
}
