package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/aaa"
	"github.com/roamgate/roamgate/aaa/agent"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/diameter/dict"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
)

// diameterQuestion is a Diameter request that somebody asks about, in the words of
// the command line and of the administration port.
type diameterQuestion struct {
	Command, Application    string
	From, Realm, Host, User string
	Visited                 string // Visited-PLMN-Id, such as 262-01
	OriginRealm             string
	ServiceCentre           string    // SC-Address, such as 491710760000
	At                      time.Time // zero: now
}

func (q *diameterQuestion) values() url.Values {
	v := url.Values{}
	for key, value := range map[string]string{"diameter": q.Command, "application": q.Application, "from": q.From, "realm": q.Realm, "host": q.Host, "user": q.User, "visited_plmn": q.Visited, "origin_realm": q.OriginRealm, "service_centre": q.ServiceCentre} {
		if value != "" {
			v.Set(key, value)
		}
	}
	if !q.At.IsZero() {
		v.Set("at", q.At.Format(time.RFC3339))
	}
	return v
}

func diameterQuestionOf(v url.Values) (q diameterQuestion, err error) {
	for key := range v {
		switch key {
		case "diameter", "application", "from", "realm", "host", "user", "visited_plmn", "origin_realm", "service_centre", "at":
		default:
			return q, fmt.Errorf("%q is nothing that can be asked", key)
		}
	}
	q = diameterQuestion{Command: v.Get("diameter"), Application: v.Get("application"), From: v.Get("from"), Realm: v.Get("realm"), Host: v.Get("host"), User: v.Get("user"), Visited: v.Get("visited_plmn"), OriginRealm: v.Get("origin_realm"), ServiceCentre: v.Get("service_centre")}
	if at := v.Get("at"); at != "" {
		q.At, err = time.Parse(time.RFC3339, at)
	}
	return q, err
}

// question is the one that the agent understands.
func (q *diameterQuestion) question() (agent.Question, error) {
	out := agent.Question{From: q.From, Realm: q.Realm, Host: q.Host, User: q.User}
	code, ok := file.Command(q.Command)
	if !ok {
		return out, fmt.Errorf("%q is no Diameter request: write ULR, AAR, ... or a code", q.Command)
	}
	c, _ := dict.FindCommand(code)
	out.Command, out.Application = code, c.App
	if q.Application != "" {
		if out.Application, ok = file.Application(q.Application); !ok {
			return out, fmt.Errorf("%q is no application: write s6a, nasreq, ... or a number", q.Application)
		}
	}
	if out.Realm == "" {
		_, out.Realm, _ = strings.Cut(q.User, "@")
	}
	if out.Realm == "" {
		return out, fmt.Errorf("the Destination-Realm is missing: --realm")
	}
	if q.Visited != "" {
		if out.Visited, ok = realm.ParseNetwork(q.Visited); !ok {
			return out, fmt.Errorf("%q is no mobile network: write 262-01", q.Visited)
		}
	}
	if out.ServiceCentre = strings.TrimPrefix(q.ServiceCentre, "+"); strings.Trim(out.ServiceCentre, "0123456789") != "" || len(out.ServiceCentre) > 15 {
		return out, fmt.Errorf("%q is no international number: write 491710760000", q.ServiceCentre)
	}
	if q.OriginRealm != "" {
		out.OriginHost, out.OriginRealm = "explain."+q.OriginRealm, q.OriginRealm
	}
	for _, name := range []string{out.Realm, out.OriginRealm, out.Host} {
		if strings.HasSuffix(name, ".") {
			return out, fmt.Errorf("%q ends with a dot, and no Diameter name does: leave it out", name)
		}
	}
	for _, text := range []string{out.OriginHost, out.From, out.Realm, out.Host, out.User} {
		if len(text) > 255 {
			return out, fmt.Errorf("a name has at most 255 octets")
		}
	}
	return out, nil
}

// diameterExplanation is the answer.
type diameterExplanation struct {
	Command     string          `json:"command"`
	Application string          `json:"application"`
	From        string          `json:"from,omitempty"`
	FromAt      string          `json:"from_at,omitempty"`
	FromGroup   string          `json:"from_group,omitempty"`
	Realm       string          `json:"realm,omitempty"` // what a decorated name becomes
	User        string          `json:"user,omitempty"`
	Routes      []aaa.Tried     `json:"routes,omitempty"`
	Rule        string          `json:"rule,omitempty"`
	RuleAt      string          `json:"rule_at,omitempty"`
	Match       string          `json:"match,omitempty"`
	Action      string          `json:"action,omitempty"`
	Pool        string          `json:"pool,omitempty"`
	PoolAt      string          `json:"pool_at,omitempty"`
	PoolGroup   string          `json:"pool_group,omitempty"`
	Contract    string          `json:"contract,omitempty"`
	ContractAt  string          `json:"contract_at,omitempty"`
	Peers       []peerExplained `json:"peers,omitempty"`
	Deadline    string          `json:"deadline,omitempty"`
	Policy      string          `json:"policy,omitempty"`
	Hosts       []string        `json:"hosts,omitempty"` // of a redirection
	Screening   string          `json:"screening,omitempty"`
	Broken      []string        `json:"broken,omitempty"` // rules of screening, with their modes
	Result      string          `json:"result"`           // forward, radius, redirect or answer
	Code        uint32          `json:"code,omitempty"`   // Result-Code of the answer
	Reason      string          `json:"reason,omitempty"`
	Text        string          `json:"text,omitempty"`
}

// peerExplained is a peer that could have the request, in the order of trial, or why
// it could not.
type peerExplained struct {
	Name     string `json:"name"`
	Identity string `json:"identity"`
	State    string `json:"state,omitempty"` // of the running hub
	Barred   string `json:"barred,omitempty"`
	At       string `json:"at"`
}

// mostRoutes bounds the routes that an explanation names.
const mostRoutes = 100

// explainDiameter explains a request by a configuration; states are those of peers,
// where the hub runs.
func explainDiameter(c agent.Config, set *realm.Set, q diameterQuestion, states map[string]string) (diameterExplanation, error) {
	ask, err := q.question()
	x := diameterExplanation{From: q.From}
	if err != nil {
		return x, err
	}
	x.Command, x.Application = file.CommandName(ask.Command), file.ApplicationName(ask.Application)
	if q.From != "" {
		p := peerNamed(set, q.From)
		if p == nil {
			return x, fmt.Errorf("there is no peer %q", q.From)
		}
		x.FromAt, x.FromGroup = p.Pos.String(), groupName(p.Group)
	}
	if q.At.IsZero() {
		q.At = time.Now()
	}
	found := agent.NewExplainer(c.Identity, c.Realm, set).Explain(ask, q.At.Unix())
	x.Realm, x.User = found.Realm, found.User
	x.Reason, x.Text = found.Why.String(), found.Text
	x.Screening, x.Broken = found.Screening, found.Broken
	for _, r := range found.Routes[:min(len(found.Routes), mostRoutes)] {
		x.Routes = append(x.Routes, aaa.Tried{Rule: r.Route.Label(), Subject: r.Route.Realm, Match: r.Route.Tier().String(), Why: r.Why.String(),
			Taken: r.Route == found.Route, At: r.Route.Pos.String()})
	}
	if r := found.Route; r != nil {
		x.Rule, x.RuleAt, x.Match, x.Action = r.Label(), r.Pos.String(), r.Tier().String(), r.Diameter.Action.String()
		if r.Policy.Enabled && r.Diameter.Action == realm.DiameterProxy {
			x.Policy = "applies"
		}
		if r.Diameter.Action == realm.DiameterRedirect {
			x.Hosts = r.Diameter.Hosts
		}
	}
	if p := found.Pool; p != nil {
		x.Pool, x.PoolAt, x.PoolGroup = p.Name, p.Pos.String(), groupName(p.Group)
	}
	if k := found.Contract; k != nil {
		x.Contract, x.ContractAt = k.From.Name+" to "+k.To.Name, k.Pos.String()
	}
	ready := 0
	for _, m := range found.Candidates {
		e := peerExplained{Name: m.Peer.Name, Identity: m.Peer.Identity, State: states[m.Peer.Name], At: m.Peer.Pos.String()}
		switch {
		case m.Why != agent.OK:
			e.Barred = m.Why.Text()
		case e.State != "" && e.State != "open":
			e.Barred = "it is not connected"
		default:
			ready++
		}
		x.Peers = append(x.Peers, e)
	}
	if ready == 0 && len(x.Peers) > 0 && found.Why == agent.OK {
		found.Why, found.Result = agent.PeersDown, agent.PeersDown.Result()
		x.Reason, x.Text = found.Why.String(), found.Why.Text()
	}
	switch {
	case found.Why != agent.OK:
		x.Result, x.Code = "answer", found.Result
		if x.Hosts != nil && x.Code == diameter.ResultRedirectIndication {
			x.Result = "redirect"
		}
	case found.RADIUS:
		x.Result, x.Action, x.Deadline = "radius", "radius", found.Deadline.String()
	default:
		x.Result, x.Deadline = "forward", found.Deadline.String()
	}
	if found.Why == agent.OK {
		x.Reason, x.Text = "", ""
	}
	return x, nil
}

func peerNamed(set *realm.Set, name string) *realm.Peer {
	for i := range set.Peers {
		if set.Peers[i].Name == name || set.Peers[i].Identity == strings.ToLower(name) {
			return &set.Peers[i]
		}
	}
	return nil
}

func groupName(g *realm.Group) string {
	if g == nil {
		return ""
	}
	return g.Name
}

// refuses reports whether the request gets nowhere.
func (x *diameterExplanation) refuses() bool { return x.Result == "answer" }

// explainDiameterJSON answers for the running hub.
func (s *server) explainDiameterJSON(w http.ResponseWriter, r *http.Request) {
	q, err := diameterQuestionOf(r.URL.Query())
	if err == nil && s.agent == nil {
		err = fmt.Errorf("the hub speaks no Diameter")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	states := make(map[string]string)
	for _, p := range s.agent.Peers() {
		states[p.Name] = p.State
	}
	x, err := explainDiameter(s.conf.agent(), s.hub.Snapshot().Set, q, states)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, x)
}

// runExplainDiameter is explain --diameter.
func runExplainDiameter(cmd *cobra.Command, at *hubAddress, path string, q diameterQuestion, asJSON bool) error {
	if _, err := q.question(); err != nil {
		return misuse(cmd, "%v", err)
	}
	var x diameterExplanation
	if path == "" {
		if err := at.get(cmd.Context(), "/explain/diameter?"+q.values().Encode(), &x); err != nil {
			return err
		}
	} else {
		l, ps := loadAll(path)
		if l == nil {
			return refused(ps)
		}
		if !l.conf.Diameter.on() {
			return problem("the configuration has no diameter.identity: the hub speaks no Diameter")
		}
		var err error
		if x, err = explainDiameter(l.conf.agent(), l.set, q, nil); err != nil {
			return problem("%v", err)
		}
	}
	if asJSON {
		if err := indented(cmd.OutOrStdout(), x); err != nil {
			return err
		}
	} else {
		writeDiameterExplanation(cmd.OutOrStdout(), &x)
	}
	if x.refuses() {
		return &exitError{code: exitProblem}
	}
	return nil
}

func writeDiameterExplanation(w io.Writer, x *diameterExplanation) {
	line := func(what, value, at string) {
		if value == "" {
			return
		}
		if at != "" {
			value += "  (" + at + ")"
		}
		fmt.Fprintf(w, "%-12s %s\n", what, value)
	}
	line("request", x.Command+" of "+x.Application, "")
	line("peer", x.From, x.FromAt)
	line("group", x.FromGroup, "")
	line("screening", x.Screening, "")
	for _, rule := range x.Broken {
		line("  breaks", rule, "")
	}
	if x.User != "" {
		line("user", x.User, "")
		line("realm", x.Realm, "")
	}
	if x.Rule != "" {
		line("rule", x.Rule+", "+x.Match+" match", x.RuleAt)
	}
	if len(x.Routes) > 1 || len(x.Routes) == 1 && !x.Routes[0].Taken {
		for _, t := range x.Routes {
			mark := "  -"
			if t.Taken {
				mark = "  *"
			}
			line(mark, fmt.Sprintf("%s (%s) %s", t.Rule, t.Match, t.Why), t.At)
		}
	}
	line("action", x.Action, "")
	line("pool", x.Pool, x.PoolAt)
	line("group", x.PoolGroup, "")
	line("contract", x.Contract, x.ContractAt)
	n := 0
	for _, p := range x.Peers {
		text := p.Name + " " + p.Identity
		if p.State != "" {
			text += " " + p.State
		}
		if p.Barred != "" {
			line("  -", text+": "+p.Barred, p.At)
			continue
		}
		n++
		line(fmt.Sprintf("  %d.", n), text, p.At)
	}
	line("policy", x.Policy, "")
	line("deadline", x.Deadline, "")
	for _, h := range x.Hosts {
		line("ask", h, "")
	}
	result := x.Result
	if x.Code != 0 {
		result += fmt.Sprintf(" %d %s", x.Code, dict.ResultName(0, x.Code))
	}
	line("result", strings.TrimSuffix(result+": "+x.Reason, ": "), "")
	line("", x.Text, "")
}
