package file

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// diameterEntry is the name of a pool of peers, or keys of which action is one.
type diameterEntry struct {
	pos realm.Pos
	diameterKeys
}

type diameterKeys struct {
	Action   at[string]        `yaml:"action" words:"proxy|relay|redirect|radius|reject"`
	Pool     at[string]        `yaml:"pool"`
	Deadline at[time.Duration] `yaml:"deadline"`
	Hosts    []at[string]      `yaml:"hosts"`
	Usage    at[string]        `yaml:"usage" words:"never|session|realm|realm_and_application|application|host|user"`
	MaxCache at[time.Duration] `yaml:"max_cache"`
	Result   at[uint32]        `yaml:"result"`
}

func (d *diameterEntry) decodeNode(dec *decoder, i int, key string) {
	if k := dec.tree[i].kind; k == kindScalar || k == kindMapping {
		d.pos = dec.pos(i)
	}
	if dec.tree[i].kind == kindScalar {
		d.Pool.decodeNode(dec, i, key)
		return
	}
	dec.into(i, &d.diameterKeys, key)
}

func (d *diameterEntry) set() bool { return d.pos.Line > 0 }

// diameterWords are what stands in the place of a pool by mistake.
var diameterWords = []string{"radius", "reject", "redirect", "relay", "proxy"}

const (
	minDeadline = 100 * time.Millisecond
	maxDeadline = 5 * time.Minute
	maxCache    = 30 * 24 * time.Hour
	maxRedirect = 8 // hosts of one answer
	// What answers say (RFC 6733 section 7.1): protocol errors, and failures of
	// both kinds.
	minResult, maxResult = 3001, 5999
)

// diameter compiles what becomes of Diameter requests, nil where nothing is said.
func (l *loader) diameter(e *realmEntry) *realm.DiameterRoute {
	d := &e.Diameter
	if !d.set() {
		return nil
	}
	file := e.Pos.File
	if !d.Action.set() && d.Pool.set() && slices.Contains(diameterWords, d.Pool.v) {
		if _, known := l.pools[d.Pool.v]; !known {
			l.fail(d.pos, "diameter: {action: "+d.Pool.v+"}", "pool %s does not exist", quote(d.Pool.v))
			return nil
		}
	}
	r := &realm.DiameterRoute{Pool: -1}
	r.Action = choose(l, e.Pos, "action", d.Action, realm.DiameterProxy, []string{"proxy", "relay", "redirect", "radius", "reject"},
		realm.DiameterProxy, realm.DiameterRelay, realm.DiameterRedirect, realm.DiameterRADIUS, realm.DiameterReject)
	foreign := func(set bool, pos realm.Pos, key string, of ...realm.DiameterAction) {
		if set && !slices.Contains(of, r.Action) {
			l.fail(pos, "remove it", "%s has no meaning with action: %s", key, r.Action)
		}
	}
	foreign(d.Pool.set(), d.Pool.pos(file), "pool", realm.DiameterProxy, realm.DiameterRelay)
	foreign(d.Deadline.set(), d.Deadline.pos(file), "deadline", realm.DiameterProxy, realm.DiameterRelay, realm.DiameterRADIUS)
	foreign(d.Hosts != nil, d.pos, "hosts", realm.DiameterRedirect)
	foreign(d.Usage.set(), d.Usage.pos(file), "usage", realm.DiameterRedirect)
	foreign(d.MaxCache.set(), d.MaxCache.pos(file), "max_cache", realm.DiameterRedirect)
	foreign(d.Result.set(), d.Result.pos(file), "result", realm.DiameterReject)
	if t := d.Deadline; t.set() && (t.v < minDeadline || t.v > maxDeadline) {
		l.fail(t.pos(file), "5s is usual", "deadline is not in %s to %s", minDeadline, maxDeadline)
	} else {
		r.Deadline = t.v
	}
	switch r.Action {
	case realm.DiameterProxy, realm.DiameterRelay:
		if !d.Pool.set() {
			l.fail(d.pos, "name a pool of peers with pool:", "diameter: nobody gets the requests")
		} else {
			r.Pool = l.poolFor(e, d.Pool, diam)
		}
	case realm.DiameterRedirect:
		l.redirect(e, r)
	case realm.DiameterRADIUS:
		if !e.Auth.set() && !e.Accounting.set() && !e.Discover.set() {
			l.fail(d.pos, "add auth: and accounting: with pools of homes, or discover:", "diameter: requests become those of RADIUS, for which the route has nothing")
		}
	case realm.DiameterReject:
		if r.Result = diameter.ResultRealmNotServed; d.Result.set() {
			r.Result = d.Result.v
		}
		if r.Result < minResult || r.Result > maxResult {
			l.fail(d.Result.pos(file), "such as 3003 (realm not served) or 5003 (authorization rejected)", "result: %d refuses nothing", r.Result)
		}
	}
	return r
}

// redirect reads where an answer says to ask, and for how long (RFC 6733 sections
// 6.12 to 6.14).
func (l *loader) redirect(e *realmEntry, r *realm.DiameterRoute) {
	d, file := &e.Diameter, e.Pos.File
	if len(d.Hosts) == 0 {
		l.fail(d.pos, "name them with hosts:, such as aaa://hss.example:3868;transport=tcp", "diameter: a redirection to nobody")
	}
	if len(d.Hosts) > maxRedirect {
		l.fail(d.Hosts[maxRedirect].pos(file), "", "hosts has more than %d entries", maxRedirect)
		return
	}
	for _, h := range d.Hosts {
		switch text, hint := badURI(h.v); {
		case text != "":
			l.fail(h.pos(file), hint, "hosts: %s", text)
		case slices.Contains(r.Hosts, h.v):
			l.warn(h.pos(file), "remove it", "hosts: %s stands twice", quote(h.v))
		default:
			r.Hosts = append(r.Hosts, strings.Clone(h.v))
		}
	}
	r.Usage = choose(l, e.Pos, "usage", d.Usage, uint32(0), redirectUsages, 0, 1, 2, 3, 4, 5, 6)
	switch t := d.MaxCache; {
	case t.set() && (t.v < time.Second || t.v > maxCache):
		l.fail(t.pos(file), "such as 1h", "max_cache is not in 1s to %s", maxCache)
	case t.set() && r.Usage == 0:
		l.fail(t.pos(file), "add usage:", "max_cache: nothing is kept with usage: never")
	case r.Usage != 0 && !t.there():
		l.fail(d.Usage.pos(file), "add max_cache:, such as 1h", "usage without a time that it holds for")
	default:
		r.Cache = uint32(t.v / time.Second)
	}
}

// redirectUsages are the values of Redirect-Host-Usage in their order.
var redirectUsages = []string{"never", "session", "realm", "realm_and_application", "application", "host", "user"}

// badURI checks a DiameterURI (RFC 6733 section 4.3.1).
func badURI(s string) (text, hint string) {
	const how = "such as aaa://hss.example:3868;transport=tcp, over TLS aaas://hss.example"
	rest, ok := strings.CutPrefix(s, "aaa://")
	if !ok {
		rest, ok = strings.CutPrefix(s, "aaas://")
	}
	host, options, _ := strings.Cut(rest, ";")
	name, port, ported := strings.Cut(host, ":")
	if text, _ := badIdentity(foldASCII(name)); !ok || text != "" || len(s) > maxText {
		return quote(s) + " is no DiameterURI", how
	}
	if n, err := strconv.ParseUint(port, 10, 16); ported && (err != nil || n == 0) {
		return quote(s) + " is no DiameterURI: " + quote(port) + " is no port", how
	}
	if strings.Contains(rest, ";") && options == "" {
		return quote(s) + " is no DiameterURI: it ends behind a semicolon", how
	}
	for option := range strings.SplitSeq(options, ";") {
		if options == "" {
			break
		}
		switch option {
		case "transport=tcp", "transport=sctp", "transport=udp", "protocol=diameter", "protocol=radius", "protocol=tacacs+":
		default:
			return quote(s) + " is no DiameterURI: " + quote(option) + " is unknown", "transport=tcp, transport=sctp, protocol=diameter"
		}
	}
	return "", ""
}

// diameterText says what a route does with Diameter requests, in the words of the
// files.
func diameterText(s *realm.Set, d *realm.DiameterRoute) string {
	if d == nil {
		return ""
	}
	parts := []string{d.Action.String()}
	add := func(key, value string) {
		if value != "" {
			parts = append(parts, key+" "+value)
		}
	}
	if d.Forwards() {
		add("pool", poolName(s, d.Pool))
	}
	if d.Deadline > 0 {
		add("deadline", d.Deadline.String())
	}
	add("hosts", strings.Join(d.Hosts, ", "))
	if d.Action == realm.DiameterRedirect && int(d.Usage) < len(redirectUsages) {
		add("usage", redirectUsages[d.Usage])
	}
	if d.Cache > 0 {
		add("max_cache", (time.Duration(d.Cache) * time.Second).String())
	}
	if d.Result > 0 {
		add("result", strconv.FormatUint(uint64(d.Result), 10))
	}
	return strings.Join(parts, ", ")
}
