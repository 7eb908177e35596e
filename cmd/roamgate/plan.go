package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/aaa"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
	"github.com/roamgate/roamgate/realm/history"
)

// What a plan lists; the numbers count all.
const (
	mostNames   = 1000
	mostDetails = 1000
	mostPrinted = 20
)

// kindChange is what changes in the objects of one kind.
type kindChange struct {
	Kind    string   `json:"kind"`
	Numbers string   `json:"numbers"` // +added -removed ~changed
	Added   []string `json:"added,omitempty"`
	Removed []string `json:"removed,omitempty"`
	Changed []string `json:"changed,omitempty"`
}

// detailRow is a file.Detail in JSON.
type detailRow struct {
	Kind  string `json:"kind"`
	Name  string `json:"name,omitempty"`
	Field string `json:"field"`
	Old   string `json:"old"`
	New   string `json:"new"`
	File  string `json:"file,omitempty"`
	Line  int    `json:"line,omitempty"`
}

// comparison is what one version changes against another.
type comparison struct {
	From    history.Hash `json:"from,omitzero"`
	To      history.Hash `json:"to,omitzero"`
	Change  string       `json:"change"` // in numbers
	Kinds   []kindChange `json:"kinds"`
	Details []detailRow  `json:"details"`
}

func compare(old, set *realm.Set) comparison {
	change := file.Diff(old, set)
	c := comparison{Change: change.String(), Kinds: []kindChange{}, Details: []detailRow{}}
	if old != nil {
		c.From = history.Hash(old.Hash)
	}
	c.To = history.Hash(set.Hash)
	for _, k := range []struct {
		kind string
		file.Delta
	}{
		{"settings", change.Settings}, {"groups", change.Groups}, {"contracts", change.Contracts}, {"filters", change.Filters},
		{"tls", change.TLS}, {"discoveries", change.Discoveries}, {"clients", change.Clients}, {"homes", change.Homes}, {"peers", change.Peers}, {"pools", change.Pools}, {"realms", change.Realms},
	} {
		if !k.Empty() {
			c.Kinds = append(c.Kinds, kindChange{k.kind, k.String(), some(k.Added), some(k.Removed), some(k.Changed)})
		}
	}
	for _, d := range file.Details(old, set, mostDetails) {
		c.Details = append(c.Details, detailRow{d.Kind, d.Name, d.Field, d.Old, d.New, d.Pos.File, d.Pos.Line})
	}
	return c
}

func some(names []string) []string { return names[:min(len(names), mostNames)] }

// plan is what POST /plan says.
type plan struct {
	Result string `json:"result"` // changes, unchanged or refused
	comparison
	Problems []problemRow `json:"problems,omitempty"`
	Traffic  *aaa.Impact  `json:"traffic,omitempty"`
}

// The results of a plan, beside history.Refused and history.Same.
const planned = "changes"

// planOf holds files against what runs.
func planOf(c *config, files file.Texts, ps file.Problems, running *realm.Set) (*plan, *realm.Set) {
	var set *realm.Set
	if !ps.Failed() {
		set, ps = files.Load(c.path(c.Routing.Directory), os.LookupEnv)
	}
	if set != nil {
		ps = append(ps, compiles(set)...)
	}
	p := &plan{Result: history.Refused, Problems: problemRows(ps)}
	if ps.Failed() {
		return p, nil
	}
	p.comparison = compare(running, set)
	p.Result = planned
	if len(p.Kinds) == 0 && p.From == p.To {
		p.Result = history.Same
	}
	return p, set
}

func (s *server) planJSON(w http.ResponseWriter, r *http.Request) {
	if code, err := readCommand(w, r, &struct{}{}); err != nil {
		http.Error(w, err.Error(), code)
		return
	}
	if !s.planning.TryLock() {
		http.Error(w, "another plan is being made", http.StatusConflict)
		return
	}
	defer s.planning.Unlock()
	ctx, stop := context.WithTimeout(r.Context(), changeTime)
	defer stop()
	files, ps := file.ReadSteady(ctx, s.conf.path(s.conf.Routing.Directory))
	p, set := planOf(s.conf, files, ps, s.control.Running())
	if set != nil {
		x, err := s.hub.Impact(ctx, set)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		p.Traffic = x
	}
	writeJSON(w, p)
}

func planCommand() *cobra.Command {
	var at hubAddress
	var path string
	var asJSON bool
	c := &cobra.Command{
		Use:   "plan",
		Short: "Say what the routing files would change, before they are in use",
		Long: `Let the running hub read its routing files as they are now, and say what they
would change: clients, homes, pools and routes, and what share of the last
hour's requests and devices would take another way. Nothing is taken into use.

The shares are estimates by a sample of devices that the hub keeps in memory
for an hour; only numbers leave it. With --config the files are held against
the last version of the history, without traffic and without a hub.

Exit code 0: the files can be used; 1: they have mistakes, which are printed.`,
		Example: "  roamgate plan\n  roamgate plan --json --config roamgate.yaml",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := makePlan(cmd, &at, path)
			if err != nil {
				return err
			}
			if asJSON {
				err = indented(cmd.OutOrStdout(), p)
			} else {
				p.write(cmd.OutOrStdout())
			}
			if err == nil && p.Result == history.Refused {
				return problem("the files would be refused")
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVarP(&path, "config", "c", "", "plan by the files of this configuration `file` instead of asking the hub")
	at.flag(c)
	return c
}

func makePlan(cmd *cobra.Command, at *hubAddress, path string) (*plan, error) {
	p := &plan{}
	if path == "" {
		at.patience = changeTime
		return p, at.post(cmd.Context(), "/plan", []byte("{}"), p)
	}
	l, conf, err := historyAt(path)
	if err != nil {
		return nil, err
	}
	var running *realm.Set
	if len(l.Entries) > 0 {
		old, err := loadVersion(conf, l.Entries[len(l.Entries)-1].Hash)
		if err != nil {
			return nil, err
		}
		running = old
	}
	files, ps := file.ReadTexts(conf.path(conf.Routing.Directory))
	p, _ = planOf(conf, files, ps, running)
	return p, nil
}

// loadVersion loads a version of the history.
func loadVersion(c *config, h history.Hash) (*realm.Set, error) {
	files, err := history.Version(c.path(c.Routing.History), h)
	if err != nil {
		return nil, problem("%v", err)
	}
	set, ps := files.Load(c.path(c.Routing.Directory), os.LookupEnv)
	if set == nil {
		return nil, problem("version %s cannot be loaded any more:\n%v", h, ps)
	}
	return set, nil
}

func (p *plan) write(w io.Writer) {
	for _, row := range p.Problems {
		fmt.Fprintln(w, row)
	}
	switch p.Result {
	case history.Refused:
		return
	case history.Same:
		fmt.Fprintf(w, "nothing changes: %s is in use\n", p.To)
		return
	}
	p.comparison.write(w)
	if p.Traffic != nil {
		writeImpact(w, p.Traffic)
	}
	fmt.Fprintf(w, "roamgate apply --expect %s takes it into use\n", p.To)
}

func (c *comparison) write(w io.Writer) {
	if c.From.IsZero() {
		fmt.Fprintf(w, "%s, all of it new\n", c.To)
	} else {
		fmt.Fprintf(w, "%s in the place of %s\n", c.To, c.From)
	}
	if len(c.Kinds) == 0 {
		fmt.Fprintln(w, "nothing changes but the text")
	}
	for _, k := range c.Kinds {
		fmt.Fprintf(w, "%-10s %s\n", k.Kind, k.Numbers)
		list(w, "+", k.Added)
		list(w, "-", k.Removed)
		c.changed(w, k)
	}
}

func list(w io.Writer, mark string, names []string) {
	for i, n := range names {
		if i == mostPrinted {
			fmt.Fprintf(w, "  %s and more\n", mark)
			return
		}
		fmt.Fprintf(w, "  %s %s\n", mark, n)
	}
}

// changed prints what is known of each object that changed.
func (c *comparison) changed(w io.Writer, k kindChange) {
	details := map[string][]detailRow{}
	for _, d := range c.Details {
		switch {
		case d.Kind == singular[k.Kind]:
			details[d.Name] = append(details[d.Name], d)
		case k.Kind == "settings" && d.Name == "": // identity and loops
			details[d.Kind] = append(details[d.Kind], d)
		}
	}
	for i, n := range k.Changed {
		if i == mostPrinted {
			fmt.Fprintln(w, "  ~ and more")
			return
		}
		if len(details[n]) == 0 {
			fmt.Fprintf(w, "  ~ %s\n", n)
		}
		for _, d := range details[n] {
			fmt.Fprintf(w, "  ~ %s: %s: %s -> %s\n", n, d.Field, orNothing(d.Old), orNothing(d.New))
		}
	}
}

var singular = map[string]string{
	"groups": "group", "contracts": "contract", "filters": "filter", "clients": "client", "homes": "home", "pools": "pool", "realms": "realm",
}

func orNothing(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

var kindWords = map[string]string{"auth": "authentication", "acct": "accounting"}

func writeImpact(w io.Writer, x *aaa.Impact) {
	total := x.Requests["auth"] + x.Requests["acct"]
	if total == 0 {
		fmt.Fprintln(w, "the last hour had no traffic to hold it against")
		return
	}
	fmt.Fprintf(w, "the last hour: about %d logins and %d accounting requests of %d devices", x.Requests["auth"], x.Requests["acct"], x.Devices)
	if x.OneIn > 1 {
		fmt.Fprintf(w, ", by one device in %d", x.OneIn)
	}
	fmt.Fprintln(w)
	if len(x.Moves) == 0 {
		fmt.Fprintln(w, "  all of it goes where it went")
	}
	for i, m := range x.Moves {
		if i == mostPrinted {
			fmt.Fprintln(w, "  and more")
			return
		}
		rule := ""
		if m.Rule != "" {
			rule = ", such as by " + m.Rule
		}
		fmt.Fprintf(w, "  moves %.1f %% of %s (about %s) from %s to %s%s\n", 100*m.Share, kindWords[m.Kind], count(int(m.Devices), "device"), m.From, m.To, rule)
	}
}
