package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/aaa"
	"github.com/roamgate/roamgate/aaa/client"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/migrate"
	"github.com/roamgate/roamgate/realm/migrate/freeradius"
	"github.com/roamgate/roamgate/realm/migrate/radsecproxy"
)

func importVerifyCommand() *cobra.Command {
	var path, against, identities string
	var v verification
	c := &cobra.Command{
		Use:   "verify",
		Short: "Compare routing with the program that is there now, name by name",
		Long: `Decide for each User-Name of a file what the original program does with it, by
its own configuration, and what the hub does, and print where they differ. The
original does not run: its rules are known here. Nothing is sent.

The file has one User-Name in each line; a line that begins with # is not one,
and a line in "quotes" may have \x41 in it. - reads standard input.

Exit code 0: nothing differs but by a rule that is named at the end.`,
		Example: "  roamgate import verify --config roamgate.yaml --against freeradius:/etc/freeradius/3.0 --identities names.txt\n" +
			"  roamgate import verify -c roamgate.yaml --against radsecproxy:/etc/radsecproxy.conf --identities - --from 192.0.2.7",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			switch {
			case against == "":
				return misuse(cmd, "--against is missing")
			case identities == "":
				return misuse(cmd, "--identities is missing")
			}
			if v.original, err = original(cmd, against); err != nil {
				return err
			}
			if err := v.load(path); err != nil {
				return err
			}
			in := cmd.InOrStdin()
			if identities != "-" {
				f, err := os.Open(identities)
				if err != nil {
					return problem("%v", err)
				}
				defer f.Close()
				in = f
			}
			return v.run(in, cmd.OutOrStdout())
		},
	}
	configFlag(c, &path)
	f := c.Flags()
	f.StringVar(&against, "against", "", "the original: radsecproxy:`FILE` or freeradius:DIR")
	f.StringVar(&identities, "identities", "", "`file` of User-Names, one a line")
	f.StringVar(&v.from, "from", "", "`client` that asks: its name or an address")
	f.BoolVar(&v.accounting, "accounting", false, "compare accounting instead of authentication")
	return c
}

// original reads the configuration of the other program.
func original(cmd *cobra.Command, against string) (migrate.Original, error) {
	program, path, ok := strings.Cut(against, ":")
	switch {
	case ok && program == "radsecproxy":
		conf, err := radsecproxy.Parse(radsecproxy.Disk{}, path)
		if err != nil {
			return nil, refusedImport(program, err)
		}
		return conf, nil
	case ok && program == "freeradius":
		tree, err := freeradius.Read(freeradius.Source{Dir: path, Env: os.LookupEnv})
		if err != nil {
			return nil, refusedImport(program, err)
		}
		m, err := freeradius.Understand(tree)
		if err != nil {
			return nil, refusedImport(program, err)
		}
		return m, nil
	}
	if program == "freediameter" {
		return nil, misuse(cmd, "--against freediameter: names of RADIUS are compared here; roamgate explain --diameter says where a request goes")
	}
	return nil, misuse(cmd, "--against %q is not understood: radsecproxy:FILE or freeradius:DIR", against)
}

// verification compares an original with a configuration of ours.
type verification struct {
	original   migrate.Original
	set        *realm.Set
	ours       aaa.Explainer
	from       string
	theirFrom  string
	accounting bool

	equal, different, all int
	rules                 map[string]int
}

func (v *verification) load(path string) error {
	l, ps := loadAll(path)
	if l == nil {
		return refused(ps)
	}
	clients, err := client.New(l.set.Clients)
	if err != nil {
		return problem("%v", err)
	}
	homes, err := home.NewRegistry(0).Compile(l.set)
	if err != nil {
		return problem("%v", err)
	}
	v.set, v.rules = l.set, map[string]int{}
	v.ours = aaa.Explainer{Set: l.set, Clients: clients, Homes: homes, Wall: time.Now().Unix()}
	// Names of clients may have changed on the way, addresses have not.
	v.theirFrom = v.from
	for i := range l.set.Clients {
		if c := &l.set.Clients[i]; c.Name == v.from {
			v.theirFrom = v.from
			if len(c.Prefixes) > 0 {
				v.theirFrom = c.Prefixes[0].Addr().String()
			}
		}
	}
	return nil
}

const (
	maxIdentity   = 4096
	maxIdentities = 10_000_000
)

// run compares all names and prints what differs.
func (v *verification) run(in io.Reader, out io.Writer) error {
	w := bufio.NewWriter(out)
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, maxIdentity), maxIdentity)
	for line := 1; s.Scan(); line++ {
		name, err := identity(s.Text())
		switch {
		case err != nil:
			return problem("line %d of the identities: %v", line, err)
		case name == "":
			continue
		case v.all >= maxIdentities:
			return problem("more than %d identities", maxIdentities)
		}
		if err := v.compare(w, name); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		return problem("reading the identities: %v", err)
	}
	v.summary(w)
	if err := w.Flush(); err != nil {
		return err
	}
	if v.different > 0 {
		return &exitError{code: exitProblem}
	}
	return nil
}

// identity reads one line: "" is none.
func identity(line string) (string, error) {
	line = strings.TrimSuffix(line, "\r")
	switch {
	case strings.HasPrefix(line, "#"):
		return "", nil
	case strings.HasPrefix(line, `"`):
		name, err := strconv.Unquote(line)
		if err != nil {
			return "", errors.New("the quotes are not closed, or there is an escape that Go does not have")
		}
		return name, nil
	}
	return line, nil
}

func (v *verification) compare(w io.Writer, name string) error {
	v.all++
	q := migrate.Request{Name: name, Accounting: v.accounting, Client: v.theirFrom}
	theirs, err := v.original.Decide(q)
	if err != nil && v.all == 1 && v.from != "" {
		return problem("%v", err)
	}
	x := v.ours.Explain(aaa.Question{NAI: name, Client: v.from, Accounting: v.accounting, NASPortType: -1, RATType: -1})
	ours := v.decision(name, &x)
	if err != nil {
		v.different++
		fmt.Fprintf(w, "%s: the original: not known: %v; the hub: %s\n", strconv.Quote(name), err, outcome(&ours.Decision))
		return nil
	}
	equal, rule := migrate.Compare(q, theirs, ours)
	switch {
	case equal:
		v.equal++
	case rule != "":
		v.rules[rule]++
	default:
		v.different++
		fmt.Fprintf(w, "%s: the original: %s; the hub: %s\n", strconv.Quote(name), outcome(&theirs), outcome(&ours.Decision))
	}
	return nil
}

func outcome(d *migrate.Decision) string {
	text := d.Outcome.String()
	if d.Outcome == migrate.Forwarded {
		text += " " + strconv.Quote(d.User) + " to " + strings.Join(d.Homes, ", ")
	}
	if d.Why == "" {
		return text
	}
	return text + " (" + migrate.Printable(d.Why) + ", " + migrate.At(d.Pos) + ")"
}

// summary says what all of it comes to.
func (v *verification) summary(w io.Writer) {
	fmt.Fprintf(w, "%d of %d equal", v.equal, v.all)
	intended := v.all - v.equal - v.different
	if intended > 0 {
		fmt.Fprintf(w, ", %d otherwise by intent", intended)
	}
	if v.different > 0 {
		fmt.Fprintf(w, ", %d different", v.different)
	}
	fmt.Fprintln(w)
	for _, rule := range slices.Sorted(maps.Keys(v.rules)) {
		fmt.Fprintf(w, "  %d %s: %s\n", v.rules[rule], rule, migrate.RuleText(rule))
	}
}

// decision says what the hub does in the words of an original.
func (v *verification) decision(name string, x *aaa.Explanation) migrate.Ours {
	o := migrate.Ours{Reason: x.Reason}
	o.Why = x.Reason
	route := v.route(x.Rule)
	if route != nil {
		o.Why, o.Pos = strings.TrimPrefix(x.Reason+", rule "+x.Rule, ", "), route.Pos
	}
	switch x.Result {
	case "forward":
		o.Outcome = migrate.Forwarded
	case "record":
		o.Outcome = migrate.Rejected
		if x.Reason == "" {
			o.Outcome = migrate.Local // stored here, as there
		}
	default:
		o.Outcome = migrate.Rejected
	}
	o.Malformed = malformed[x.Reason]
	v.homes(&o, x)
	if x.Result == "discover" {
		o.Outcome, o.Homes, o.Ordered, o.Reason = migrate.Forwarded, []string{migrate.Discovered}, true, ""
	}
	if o.User = name; route != nil && route.Rewrite != nil {
		at := strings.LastIndexByte(name, '@')
		switch {
		case at >= 0 && route.Rewrite.Strip:
			o.User = name[:at]
		case at >= 0 && route.Rewrite.Realm != "":
			o.User = name[:at+1] + route.Rewrite.Realm
		}
	}
	return o
}

// malformed are the hub's reasons that no setting of identity: changes.
var malformed = func() map[string]bool {
	all := map[string]bool{}
	for _, why := range nai.Reasons() {
		switch why {
		case nai.ManyAt, nai.Backslash, nai.NoDot:
		default:
			all["name_"+why.String()] = true
		}
	}
	return all
}()

func (v *verification) route(label string) *realm.Route {
	for i := range v.set.Routes {
		if r := &v.set.Routes[i]; label != "" && r.Label() == label {
			return r
		}
	}
	return nil
}

// homes are all members of the pool, in its order, that are not disabled.
func (v *verification) homes(o *migrate.Ours, x *aaa.Explanation) {
	for i := range v.set.Pools {
		p := &v.set.Pools[i]
		if p.Name != x.Pool {
			continue
		}
		o.Ordered = p.Balance == realm.BalanceFirst
		for _, m := range p.Members {
			h := &v.set.Homes[m.Home]
			at, port := h.Auth, h.AuthPort
			if v.accounting {
				at, port = h.Acct, h.AcctPort
			}
			switch {
			case h.Disabled:
			case h.Host != "":
				o.Homes = append(o.Homes, h.Host+":"+strconv.Itoa(int(port)))
			case at.IsValid():
				o.Homes = append(o.Homes, netip.AddrPortFrom(at.Addr(), at.Port()).String())
			}
		}
	}
}
