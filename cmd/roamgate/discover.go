package main

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/discovery"
	"github.com/roamgate/roamgate/realm/file"
)

// discover is one realm to be looked up.
type discover struct {
	config, profile string
	server          string
	tags, private   []string
	ports           []uint
	accounting, srv bool
	connect, json   bool
	trust           certCheck

	realm    string
	of       *realm.Discovery
	resolver discovery.Resolver
}

func discoverCommand() *cobra.Command {
	var d discover
	c := &cobra.Command{
		Use:   "discover realm",
		Short: "Look a realm's peers up by DNS, and show each step",
		Long: `Look the RADIUS servers of a realm up by DNS (RFC 7585), as the hub does for
realms that are routed to a discovery: each question, what was answered and for
how long it holds, what of it is used and why the rest is not, and the targets
in the order of trial. No hub needs to run, and none is asked.

The profile is openroaming or eduroam; with --config it is the name of a
discovery of the files, or that of the realm's route where none is named.

--connect opens a connection to each target and judges its certificate: with
--config by the trust base of the discovery, else by --trust; --cert and --key
are what we show.

Exit code 0: there is a peer; 1: there is none, or one is not what it should be.`,
		Example: "  roamgate discover example.org\n" +
			"  roamgate discover example.org --profile eduroam --server 192.0.2.53\n" +
			"  roamgate discover example.org --config roamgate.yaml --connect",
		Args: exactly("realm"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d.realm = args[0]
			if err := d.prepare(cmd); err != nil {
				return err
			}
			return d.run(cmd)
		},
	}
	f := c.Flags()
	f.StringVarP(&d.config, "config", "c", "", "take profile, DNS servers and own doors from this `file`")
	f.StringVar(&d.profile, "profile", "", "openroaming, eduroam, or a discovery of the files (default: openroaming)")
	f.StringVar(&d.server, "server", "", "DNS server to ask, with its port where it is not 53 (default: those of the host)")
	f.BoolVar(&d.accounting, "acct", false, "look for accounting instead of authentication")
	f.StringArrayVar(&d.tags, "tag", nil, "service tag to look for instead of the profile's; repeatable, the best first")
	f.BoolVar(&d.srv, "srv", false, "ask for _radiustls._tcp where there is no NAPTR record")
	f.StringArrayVar(&d.private, "private", nil, "allow targets in this private `prefix`; repeatable")
	f.UintSliceVar(&d.ports, "port", nil, "allow this port and no other; repeatable")
	f.BoolVar(&d.connect, "connect", false, "connect to each target and judge its certificate")
	f.StringArrayVar(&d.trust.trust, "trust", nil, "file with authorities to trust; repeatable")
	f.StringArrayVar(&d.trust.policies, "policy", nil, "certificate policy to ask for; repeatable, one must hold")
	f.StringVar(&d.trust.cert, "cert", "", "file with the certificate that we show")
	f.StringVar(&d.trust.key, "key", "", "file with the key of the certificate")
	f.BoolVar(&d.json, "json", false, "print JSON")
	return c
}

// prepare makes the profile and the Resolver.
func (d *discover) prepare(cmd *cobra.Command) error {
	if d.trust.cert != "" && d.trust.key == "" {
		return misuse(cmd, "--cert needs --key")
	}
	if d.connect && d.config == "" && len(d.trust.trust) == 0 {
		return misuse(cmd, "--connect needs --trust, or --config with the trust base of the discovery")
	}
	if d.connect && d.json {
		return misuse(cmd, "--connect is for people: leave --json out")
	}
	var servers []netip.AddrPort
	if d.config != "" {
		l, ps := loadAll(d.config)
		if l == nil {
			return refused(ps)
		}
		if err := d.ofFiles(cmd, l); err != nil {
			return err
		}
		servers = l.conf.DNS.Servers
		d.resolver.Listens = l.conf.Listen.RadSec
	} else if err := d.ofPreset(cmd); err != nil {
		return err
	}
	if d.server != "" {
		at, err := netip.ParseAddrPort(d.server)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(d.server); err != nil {
				return misuse(cmd, "--server %q is no address", d.server)
			}
			at = netip.AddrPortFrom(a, 53)
		}
		servers = []netip.AddrPort{at}
	}
	d.resolver.DNS = discovery.NewDNS(servers)
	return d.overrides(cmd)
}

// ofPreset makes a profile of a federation's tags.
func (d *discover) ofPreset(cmd *cobra.Command) error {
	name := cmp.Or(d.profile, "openroaming")
	auth, acct, ok := file.Tags(name)
	if !ok {
		return misuse(cmd, "--profile %q is not known: openroaming or eduroam, or the name of a discovery with --config", name)
	}
	d.of = &realm.Discovery{Name: name, Auth: auth, Acct: acct, Public: name == "openroaming"}
	return nil
}

// ofFiles takes a discovery of the files: the one that is named, that of the
// realm's route, or the only one.
func (d *discover) ofFiles(cmd *cobra.Command, l *loaded) error {
	all := l.set.Discoveries
	if d.profile != "" {
		i := slices.IndexFunc(all, func(of *realm.Discovery) bool { return of.Name == d.profile })
		if i < 0 {
			return misuse(cmd, "--profile %q: the files have no such discovery", d.profile)
		}
		d.of = new(realm.Discovery)
		*d.of = *all[i]
		return nil
	}
	if r := l.set.Table.Lookup([]byte(strings.ToLower(d.realm))); r != nil && r.Discover != nil {
		d.of = new(realm.Discovery)
		*d.of = *r.Discover
		return nil
	}
	if len(all) != 1 {
		return problem("the realm's route discovers nothing, and the files have %s: --profile says which", count(len(all), "discovery"))
	}
	d.of = new(realm.Discovery)
	*d.of = *all[0]
	return nil
}

// overrides has flags before the profile.
func (d *discover) overrides(cmd *cobra.Command) error {
	if d.tags != nil {
		d.of.Auth, d.of.Acct = d.tags, d.tags
	}
	d.of.SRV = d.of.SRV || d.srv
	for _, text := range d.private {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return misuse(cmd, "--private %q is no prefix", text)
		}
		d.of.Private = append(slices.Clip(d.of.Private), p)
	}
	if d.ports != nil {
		d.of.Ports = nil
	}
	for _, n := range d.ports {
		if n == 0 || n > 65535 {
			return misuse(cmd, "--port %d is no port", n)
		}
		d.of.Ports = append(d.of.Ports, uint16(n))
	}
	return nil
}

func (d *discover) run(cmd *cobra.Command) error {
	out, service := cmd.OutOrStdout(), discovery.Auth
	if d.accounting {
		service = discovery.Acct
	}
	var steps []discovery.Step
	tell := func(s discovery.Step) {
		if d.json {
			steps = append(steps, s)
			return
		}
		writeStep(out, &s)
	}
	if !d.json {
		d.head(out)
	}
	res := d.resolver.Discover(cmd.Context(), d.realm, d.of, service, tell)
	if d.json {
		if err := indented(out, d.answer(&res, steps)); err != nil {
			return err
		}
	} else {
		writeResult(out, &res)
	}
	if res.Cause != discovery.OK {
		return &exitError{code: exitProblem}
	}
	if d.connect {
		return d.connects(cmd, &res)
	}
	return nil
}

func (d *discover) head(out io.Writer) {
	tags := d.of.Auth
	if d.accounting {
		tags = d.of.Acct
	}
	fmt.Fprintf(out, "%-8s %s\n", "realm", shown(d.realm))
	fmt.Fprintf(out, "%-8s %s (%s)\n", "profile", d.of.Name, cmp.Or(strings.Join(tags, ", "), "no tag"))
}

func writeStep(out io.Writer, s *discovery.Step) {
	fmt.Fprintf(out, "%-8s %s  (%s)\n", "ask", shown(s.Question), s.Took.Round(100*time.Microsecond))
	if s.Why != "" {
		fmt.Fprintf(out, "%-8s %s\n", "", s.Why)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, l := range s.Records {
		what := "used"
		if l.Block != discovery.Used {
			what = "not used: " + l.Block.Text()
		}
		fmt.Fprintf(w, "         %s\t%s\t%s\n", shown(l.Text), l.TTL, what)
	}
	_ = w.Flush()
}

func writeResult(out io.Writer, res *discovery.Result) {
	text := res.Cause.Text()
	if res.Cause == discovery.OK {
		text = count(len(res.Targets), "target")
	}
	if res.Why != "" {
		text += ": " + res.Why
	}
	fmt.Fprintf(out, "%-8s %s, for %s: %s\n", "result", res.Cause, res.TTL, text)
	for i, to := range res.Targets {
		fmt.Fprintf(out, "  %d. %s %s priority %d weight %d, %s for %s\n", i+1, to.Addr, to.Host, to.Priority, to.Weight, to.Protocol, to.TTL)
	}
}

// connects opens a connection to each target and judges its certificate.
func (d *discover) connects(cmd *cobra.Command, res *discovery.Result) error {
	bad := 0
	for i, to := range res.Targets {
		fmt.Fprintf(cmd.OutOrStdout(), "\n%d. ", i+1)
		check := d.trust
		check.connect, check.name, check.role, check.now = to.Addr.String(), to.Host, "server", time.Now()
		if d.of.Hosts {
			check.hosts = []string{to.Host}
		} else {
			label, _ := discovery.Question(d.realm, false)
			check.realms = []string{label}
		}
		if s := d.of.Security; s != nil {
			if len(check.trust) == 0 {
				check.given = s.Trust
			}
			if s.Credential != nil && check.cert == "" {
				check.shows = &s.Credential.TLS
			}
		}
		if err := check.server(cmd); err != nil {
			bad++
			if text := err.Error(); text != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "%s\n", text)
			}
		}
	}
	if bad > 0 {
		return problem("%d of %s cannot be used", bad, count(len(res.Targets), "target"))
	}
	return nil
}

// shownDiscovery is what --json prints.
type shownDiscovery struct {
	Realm   string        `json:"realm"`
	Profile string        `json:"profile"`
	Name    string        `json:"name,omitempty"` // that DNS was asked for
	Steps   []shownStep   `json:"steps,omitempty"`
	Result  string        `json:"result"`
	Text    string        `json:"text,omitempty"`
	Seconds float64       `json:"seconds"`
	Targets []shownTarget `json:"targets,omitempty"`
}

type shownStep struct {
	Question string       `json:"question"`
	Millis   float64      `json:"ms"`
	Why      string       `json:"why,omitempty"`
	Records  []shownFound `json:"records,omitempty"`
}

type shownFound struct {
	Record  string  `json:"record"`
	Seconds float64 `json:"seconds"`
	Refused string  `json:"refused,omitempty"`
}

type shownTarget struct {
	Address  string  `json:"address"`
	Host     string  `json:"host"`
	Protocol string  `json:"protocol"`
	Priority int     `json:"priority"`
	Weight   int     `json:"weight"`
	Seconds  float64 `json:"seconds"`
}

func (d *discover) answer(res *discovery.Result, steps []discovery.Step) (x shownDiscovery) {
	x = shownDiscovery{Realm: d.realm, Profile: d.of.Name, Name: res.Name, Result: res.Cause.String(), Text: res.Why, Seconds: res.TTL.Seconds()}
	for _, s := range steps {
		step := shownStep{Question: s.Question, Millis: float64(s.Took.Microseconds()) / 1000, Why: s.Why}
		for _, l := range s.Records {
			f := shownFound{Record: l.Text, Seconds: l.TTL.Seconds()}
			if l.Block != discovery.Used {
				f.Refused = l.Block.String()
			}
			step.Records = append(step.Records, f)
		}
		x.Steps = append(x.Steps, step)
	}
	for _, to := range res.Targets {
		x.Targets = append(x.Targets, shownTarget{to.Addr.String(), to.Host, to.Protocol, to.Priority, to.Weight, to.TTL.Seconds()})
	}
	return x
}
