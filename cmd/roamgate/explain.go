package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/aaa"
	"github.com/roamgate/roamgate/aaa/home"
)

// maxIMSI is how many digits an IMSI has (ITU-T E.212).
const maxIMSI = 15

func explainCommand() *cobra.Command {
	var at hubAddress
	var path, when string
	var asJSON, asTest bool
	q := aaa.Question{}
	dq := diameterQuestion{}
	c := &cobra.Command{
		Use:   "explain user@realm | --diameter COMMAND [user]",
		Short: "Say where a user's requests go, and why",
		Long: `Say which rule of which file takes a user's requests, which others were tried
and why not they, what lets them pass, the order of the homes, what becomes of
the name, what the device policy says, and the result; where homes send CoA,
also which of them may do so for the user, and where to. With --config the files
are explained as they are; without it the running hub is asked, with the homes'
present states. Nothing is sent to any home.

With --diameter it is a Diameter request of that command, and --realm its
Destination-Realm; the user may be missing. It says which rules of screening the
request breaks, too, where it is from a peer.`,
		Example: "  roamgate explain alice@acme.example --from airport-wifi\n  roamgate explain alice@acme.example --config roamgate.yaml\n" +
			"  roamgate explain --diameter ULR --imsi 262011234567890 --realm epc.mnc001.mcc262.3gppnetwork.org --from north-dra",
		Args: func(cmd *cobra.Command, args []string) error {
			if dq.Command != "" {
				return atMost("user")(cmd, args)
			}
			return exactly("user@realm")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if when != "" {
				var err error
				if q.At, err = time.Parse(time.RFC3339, when); err != nil {
					return misuse(cmd, "--at: write a time such as 2026-03-01T12:00:00Z")
				}
			}
			if len(q.IMSI) > maxIMSI || strings.Trim(q.IMSI, "0123456789") != "" {
				return misuse(cmd, "--imsi: %q is no IMSI: write up to %d digits, such as 262011234567890", q.IMSI, maxIMSI)
			}
			if text := mixed(cmd, dq.Command != ""); text != "" {
				return misuse(cmd, "%s", text)
			}
			if dq.Command != "" {
				dq.From, dq.User, dq.At = q.Client, q.IMSI, q.At
				if len(args) == 1 {
					dq.User = args[0]
				}
				return runExplainDiameter(cmd, &at, path, dq, asJSON)
			}
			q.NAI = args[0]
			if _, err := aaa.ParseQuestion(q.Values()); err != nil && path != "" { // else the hub says so
				return misuse(cmd, "%v", err)
			}
			x, err := explanation(cmd, &at, path, q)
			if err != nil {
				return err
			}
			switch {
			case asTest:
				writeAsTest(cmd.OutOrStdout(), &q, &x)
			case asJSON:
				err = indented(cmd.OutOrStdout(), x)
			default:
				writeExplanation(cmd.OutOrStdout(), &x)
			}
			if err == nil && (x.Result == "reject" || x.Result == "drop") {
				return &exitError{code: exitProblem}
			}
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&q.Client, "from", "", "`client` that asks: its name or an address; or peer")
	f.StringVar(&dq.Command, "diameter", "", "explain a Diameter request instead, by its short `name` such as ULR")
	f.StringVar(&dq.Application, "application", "", "of Diameter, such as s6a; default that of the command")
	f.StringVar(&dq.Realm, "realm", "", "Destination-Realm, default that of the user")
	f.StringVar(&dq.Host, "host", "", "Destination-Host")
	f.StringVar(&dq.OriginRealm, "origin-realm", "", "Origin-Realm, default that of the peer")
	f.StringVar(&dq.Visited, "visited-plmn", "", "Visited-PLMN-Id, such as 262-01")
	f.StringVar(&dq.ServiceCentre, "service-centre", "", "SC-Address of a short message, such as 491710760000")
	f.BoolVar(&q.Accounting, "accounting", false, "explain accounting instead of authentication")
	f.StringVar(&q.Station, "station", "", "Calling-Station-Id, such as a MAC address")
	f.StringVar(&q.IMSI, "imsi", "", "3GPP-IMSI")
	f.StringVar(&q.CUI, "cui", "", "Chargeable-User-Identity")
	f.StringVar(&q.SSID, "ssid", "", "SSID that the device has joined")
	f.StringVar(&q.Operator, "operator", "", "Operator-Name with its digit")
	f.StringVar(&q.RCOI, "rcoi", "", "roaming consortium that the device has chosen, in hexadecimal")
	f.StringVar(&when, "at", "", "time of the request, RFC 3339, instead of now")
	f.StringArrayVar(&q.Attributes, "avp", nil, "another attribute of the request, as `Name=value`; may be repeated")
	f.IntVar(&q.NASPortType, "nas-port-type", -1, "NAS-Port-Type, 19 for Wi-Fi")
	f.IntVar(&q.RATType, "rat-type", -1, "3GPP-RAT-Type")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.BoolVar(&asTest, "as-test", false, "print a test for roamgate test, which expects this answer")
	f.StringVarP(&path, "config", "c", "", "explain this configuration `file` instead of the running hub")
	at.flag(c)
	return c
}

// mixed says which flag is not of the protocol that is explained, "": none.
func mixed(cmd *cobra.Command, ofDiameter bool) string {
	names, other := []string{"application", "realm", "host", "origin-realm", "visited-plmn", "service-centre"}, "is of --diameter"
	if ofDiameter {
		names, other = []string{"accounting", "station", "cui", "ssid", "operator", "rcoi", "avp", "nas-port-type", "rat-type", "as-test"}, "is not of --diameter"
	}
	for _, name := range names {
		if cmd.Flags().Changed(name) {
			return "--" + name + " " + other
		}
	}
	return ""
}

func explanation(cmd *cobra.Command, at *hubAddress, path string, q aaa.Question) (x aaa.Explanation, err error) {
	if path == "" {
		err = at.get(cmd.Context(), "/explain?"+q.Values().Encode(), &x)
		return x, err
	}
	l, ps := loadAll(path)
	if l == nil {
		return x, refused(ps)
	}
	e, err := explainer(l)
	if err != nil {
		return x, err
	}
	return e.Explain(q), nil
}

func writeExplanation(w io.Writer, x *aaa.Explanation) {
	line := func(what, value, at string) {
		if value == "" {
			return
		}
		if at != "" {
			value += "  (" + at + ")"
		}
		fmt.Fprintf(w, "%-12s %s\n", what, value)
	}
	line("client", x.Client, x.ClientAt)
	line("group", x.ClientGroup, "")
	line("filters", filters(x.In, x.Out), "")
	line("name", x.Name, "")
	line("realm", x.Realm, "")
	line("consortium", x.Consortium, "")
	line("settlement", x.Settlement, "")
	line("discovery", strings.TrimSuffix(x.Discovery+" by "+x.DiscoveredBy, " by "), "")
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
	writeKnown(line, x.Known)
	line("pool", x.Pool, x.PoolAt)
	line("group", x.PoolGroup, "")
	line("contract", x.Contract, x.ContractAt)
	for i, c := range x.Order {
		line(fmt.Sprintf("  %d.", i+1), member(&c), c.At)
	}
	for _, c := range x.Barred {
		line("  -", member(&c)+" "+c.Barred, c.At)
	}
	line("user name", x.UserName, "")
	line("acknowledge", x.Ack, "")
	if x.Profile != "" {
		x.Policy += ", profile " + x.Profile
	}
	line("policy", x.Policy, "")
	line("result", strings.TrimSuffix(x.Result+": "+x.Reason, ": "), "")
	line("", x.Text, "")
	if b := x.Back; b != nil {
		for _, h := range b.Homes {
			line("coa from", h.String(), "")
		}
		line("coa to", b.To(), "")
	}
}

// writeKnown tells what DNS has said about the realm.
func writeKnown(line func(what, value, at string), k *aaa.Known) {
	if k == nil {
		return
	}
	text := fmt.Sprintf("%s, for %s more", k.Result, time.Duration(k.Seconds)*time.Second)
	if k.Text != "" {
		text += ": " + k.Text
	}
	if k.Why != "" {
		text += " (" + k.Why + ")"
	}
	line("known", text, "")
	for _, to := range k.Targets {
		line("  -", fmt.Sprintf("%s %s priority %d weight %d", to.Address, to.Host, to.Priority, to.Weight), "")
	}
}

// member says what there is to say of one home.
func member(c *aaa.Candidate) string {
	text := fmt.Sprintf("%s %s priority %d weight %d %s", c.Home, c.Address, c.Priority, c.Weight, c.State)
	if c.Cause != home.Well.String() {
		text += " (" + c.Cause + ")"
	}
	if c.Use != "" {
		text += " " + c.Use
	}
	if c.Breaker {
		text += " breaker open"
	}
	if f := filters(c.In, c.Out); f != "" {
		text += " filters " + f
	}
	return text
}

func filters(in, out string) string {
	var s []string
	if in != "" {
		s = append(s, "in "+in)
	}
	if out != "" {
		s = append(s, "out "+out)
	}
	return strings.Join(s, ", ")
}
