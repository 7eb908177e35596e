package file

import (
	"slices"
	"strings"
	"time"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// screeningEntry says what is checked of Diameter requests.
type screeningEntry struct {
	Pos          realm.Pos            `yaml:",pos"`
	Name         at[string]           `yaml:"name,required"`
	Rules        screenRules          `yaml:"rules"`
	Applications []at[string]         `yaml:"applications"`
	Refuse       []at[string]         `yaml:"refuse"`
	Networks     []screenNetworkEntry `yaml:"networks"`
	Learn        at[time.Duration]    `yaml:"learn"`
	Travel       at[time.Duration]    `yaml:"travel"`
	Requests     at[int]              `yaml:"requests"`
	Subscribers  at[int]              `yaml:"subscribers"`
}

// screenRules are the rules by their names, which are those of realm.ScreenRule.
type screenRules struct {
	OriginOwn   screenRule `yaml:"origin_own"`
	OriginRealm screenRule `yaml:"origin_realm"`
	OriginHost  screenRule `yaml:"origin_host"`
	RouteRecord screenRule `yaml:"route_record"`
	Application screenRule `yaml:"application"`
	Command     screenRule `yaml:"command"`
	HomeRealm   screenRule `yaml:"home_realm"`
	Centre      screenRule `yaml:"service_centre"`
	VisitedPLMN screenRule `yaml:"visited_plmn"`
	Previous    screenRule `yaml:"previous"`
	Velocity    screenRule `yaml:"velocity"`
	Rate        screenRule `yaml:"rate"`
}

// all are the rules in the order of realm.ScreenRule.
func (r *screenRules) all() [realm.NumScreenRules]*screenRule {
	return [realm.NumScreenRules]*screenRule{
		&r.OriginOwn, &r.OriginRealm, &r.OriginHost, &r.RouteRecord, &r.Application, &r.Command, &r.HomeRealm,
		&r.Centre, &r.VisitedPLMN, &r.Previous, &r.Velocity, &r.Rate,
	}
}

// screenRule is a mode, or keys of which mode is one.
type screenRule struct {
	pos realm.Pos
	screenKeys
}

type screenKeys struct {
	Mode   at[string] `yaml:"mode" words:"off|detect|drop|answer"`
	Result at[uint32] `yaml:"result"`
	Vendor at[uint32] `yaml:"vendor"`
}

func (r *screenRule) decodeNode(d *decoder, i int, key string) {
	r.pos = d.pos(i)
	if d.tree[i].kind == kindScalar {
		r.Mode.decodeNode(d, i, key)
		return
	}
	d.into(i, &r.screenKeys, key)
}

// screenNetworkEntry says which networks a realm stands for, and whose service centres
// are its own.
type screenNetworkEntry struct {
	Pos     realm.Pos    `yaml:",pos"`
	Realm   at[string]   `yaml:"realm,required"`
	PLMN    []at[string] `yaml:"plmn"`
	Centres []at[string] `yaml:"service_centres"`
}

// Bounds of what is screened and steered.
const (
	maxLearn       = 365 * 24 * time.Hour
	maxTravel      = 24 * time.Hour
	maxRequests    = 1_000_000
	minRemembered  = 1 << 10
	maxRemembered  = 1 << 24
	maxNetworks    = 4096
	maxCentres     = 1024
	maxNumber      = 15 // digits (ITU-T E.164)
	maxSteeredTime = 30 * 24 * time.Hour
)

func (l *loader) screening(e *screeningEntry) {
	if e.Pos.Line == 0 || !l.name(e.Pos, e.Name) {
		return
	}
	file := e.Pos.File
	s := realm.NewScreening(strings.Clone(e.Name.v))
	s.Pos = e.Pos
	if first, twice := l.screenings[s.Name]; twice {
		l.twice(e.Name.pos(file), first.Pos, "screening", s.Name)
		return
	}
	l.screenings[s.Name] = s
	l.set.Screenings = append(l.set.Screenings, s)
	for r, rule := range e.Rules.all() {
		l.screenRule(e, realm.ScreenRule(r), rule, &s.Rules[r])
	}
	if e.Applications != nil {
		s.Applications = nil
		for _, word := range e.Applications {
			n, text, hint := application(word.v)
			switch {
			case text == "" && n == diameter.AppRelay:
				text, hint = "is what agents say of themselves", "without the rule application anything may cross"
				fallthrough
			case text != "":
				l.fail(word.pos(file), hint, "applications: %s %s", quote(word.v), text)
			default:
				s.Applications = append(s.Applications, n)
			}
		}
	}
	for _, word := range e.Refuse {
		if n, text, hint := command(word.v); text != "" {
			l.fail(word.pos(file), hint, "refuse: %s %s", quote(word.v), text)
		} else {
			s.Commands = append(s.Commands, n)
		}
	}
	for i := range e.Networks {
		l.screenNetwork(&e.Networks[i], s)
	}
	l.span(e.Pos, "learn", e.Learn, 0, maxLearn, &s.Learn)
	l.span(e.Pos, "travel", e.Travel, time.Minute, maxTravel, &s.Travel)
	l.within(e.Pos, "requests", e.Requests, 1, maxRequests, &s.Rate)
	l.within(e.Pos, "subscribers", e.Subscribers, minRemembered, maxRemembered, &s.Subscribers)
}

// screenRule reads what becomes of a request that breaks a rule.
func (l *loader) screenRule(e *screeningEntry, r realm.ScreenRule, rule *screenRule, a *realm.ScreenAction) {
	if rule.pos.Line == 0 {
		return
	}
	file := e.Pos.File
	a.Mode = choose(l, e.Pos, r.String(), rule.Mode, a.Mode, []string{"off", "detect", "drop", "answer"},
		realm.ScreenOff, realm.ScreenDetect, realm.ScreenDrop, realm.ScreenAnswer)
	if !rule.Result.set() {
		if rule.Vendor.set() && !rule.Result.there() {
			l.fail(rule.Vendor.pos(file), "add result:", "%s: a vendor without a result", r)
		}
		return
	}
	a.Result, a.Vendor = rule.Result.v, rule.Vendor.v
	if a.Result < minResult || a.Result > maxResult {
		l.fail(rule.Result.pos(file), "such as 5012, or with vendor: 10415 such as 5004", "%s: result: %d refuses nothing", r, a.Result)
	}
	if a.Mode != realm.ScreenAnswer {
		l.warn(rule.Result.pos(file), "write mode: answer", "%s: nothing is answered with mode: %s", r, a.Mode)
	}
}

func (l *loader) screenNetwork(e *screenNetworkEntry, s *realm.Screening) {
	if e.Pos.Line == 0 || !e.Realm.set() {
		return
	}
	folded, _, _ := l.foldRealm(e.Realm.v)
	if text, hint := Realm(e.Realm.v); text != "" && (text != oneLabel || !l.oneLabel) {
		l.fail(e.Realm.pos(e.Pos.File), hint, "networks: %s: %s", quote(e.Realm.v), text)
		return
	}
	if len(e.PLMN)+len(e.Centres) == 0 {
		l.fail(e.Pos, "add plmn: with its networks, or service_centres:", "networks: realm %s stands for none", quote(e.Realm.v))
	}
	name := strings.Clone(folded)
	_, twice := s.Networks[name]
	if twice = twice || slices.ContainsFunc(s.ServiceCentres, func(c realm.ServiceCentre) bool { return c.Realm == name }); twice {
		l.fail(e.Realm.pos(e.Pos.File), "put them together", "networks: realm %s stands twice", quote(e.Realm.v))
	}
	if len(e.PLMN) > 0 {
		if s.Networks == nil {
			s.Networks = make(map[string][]realm.Network)
		}
		s.Networks[name] = l.networks(e.Pos, "plmn", e.PLMN)
	}
	for _, word := range e.Centres {
		pos, number := word.pos(e.Pos.File), strings.TrimPrefix(word.v, "+")
		c := realm.ServiceCentre{Realm: name, Digits: strings.Clone(number)}
		switch {
		case number == "" || len(number) > maxNumber || strings.Trim(number, "0123456789") != "" || number[0] == '0':
			l.fail(pos, "digits that it begins with, such as 49171", "service_centres: %s is no international number", quote(word.v))
		case slices.Contains(s.ServiceCentres, c):
			l.warn(pos, "remove it", "service_centres: %s stands twice", quote(word.v))
		case len(s.ServiceCentres) == maxCentres:
			l.fail(pos, "", "there are more than %d service centres", maxCentres)
			return
		default:
			s.ServiceCentres = append(s.ServiceCentres, c)
		}
	}
}

// networks reads a list of mobile networks and countries.
func (l *loader) networks(entry realm.Pos, key string, list []at[string]) (out []realm.Network) {
	for i, word := range list {
		pos := word.pos(entry.File)
		if i == maxNetworks {
			l.fail(pos, "", "%s has more than %d entries", key, maxNetworks)
			break
		}
		subject, text, hint := plmn(word.v)
		n, ok := realm.ParseNetwork(subject)
		switch {
		case text != "" || !ok:
			l.fail(pos, hint, "%s: %s %s", key, quote(word.v), text)
		case slices.Contains(out, n):
			l.warn(pos, "remove it", "%s: %s stands twice", key, quote(word.v))
		default:
			out = append(out, n)
		}
	}
	return out
}

// within reads a number, span a time.
func (l *loader) within(entry realm.Pos, key string, n at[int], low, high int, out *int) {
	switch {
	case !n.set():
	case n.v < low || n.v > high:
		l.fail(n.pos(entry.File), "", "%s is not in %d to %d", key, low, high)
	default:
		*out = n.v
	}
}

func (l *loader) span(entry realm.Pos, key string, t at[time.Duration], low, high time.Duration, out *time.Duration) {
	switch {
	case !t.set():
	case t.v < low || t.v > high:
		l.fail(t.pos(entry.File), "", "%s is not in %s to %s", key, low, high)
	default:
		*out = t.v
	}
}

// screeningNamed gives the screening that a peer or a group names, nil: none, or there
// is none.
func (l *loader) screeningNamed(entry realm.Pos, name at[string]) *realm.Screening {
	if !name.set() {
		return nil
	}
	s, known := l.screenings[name.v]
	if !known && !l.partial {
		l.fail(name.pos(entry.File), meant(name.v, l.screenings, "add it under screenings:"), "screening %s does not exist", quote(name.v))
	}
	return s
}

// lintScreenings names screenings and steerings that nothing uses.
func (l *loader) lintScreenings() {
	screens := make(map[*realm.Screening]bool)
	for i := range l.set.Peers {
		screens[l.set.Peers[i].Screening] = true
	}
	for _, s := range l.set.Screenings {
		if !screens[s] && (s.Name != realm.DefaultScreening || len(l.set.Peers) == 0) {
			l.warn(s.Pos, "name it with screening: of a peer or a group of peers; the one called default is that of all others", "screening %s is used by nobody", quote(s.Name))
		}
	}
	for _, g := range l.set.Groups {
		if of := l.groups[g.Name]; of.screening != nil && of.peers == 0 {
			l.warn(of.entry.Screening.pos(g.Pos.File), "remove it", "screening: no peer is in group %s", quote(g.Name))
		}
	}
	steers := make(map[*realm.Steering]bool)
	for i := range l.set.Routes {
		steers[l.set.Routes[i].Steering] = true
	}
	for _, s := range l.set.Steerings {
		if !steers[s] {
			l.warn(s.Pos, "name it with steering: of a realm", "steering %s is used by no realm", quote(s.Name))
		}
	}
}
