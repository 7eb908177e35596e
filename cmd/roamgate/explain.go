package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/aaa"
	"github.com/roamgate/roamgate/aaa/home"
)

func explainCommand() *cobra.Command {
	var at hubAddress
	var path string
	var asJSON, asTest bool
	q := aaa.Question{}
	c := &cobra.Command{
		Use:   "explain user@realm",
		Short: "Say where a user's requests go, and why",
		Long: `Say which rule of which file takes a user's requests, the order of its homes,
what the device policy says, and the result. With --config the files are
explained as they are; without it the running hub is asked, with the homes'
present states. Nothing is sent to any home.`,
		Example: "  roamgate explain alice@acme.example --from airport-wifi\n  roamgate explain alice@acme.example --config roamgate.yaml",
		Args:    exactly("user@realm"),
		RunE: func(cmd *cobra.Command, args []string) error {
			q.NAI = args[0]
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
	f.StringVar(&q.Client, "from", "", "`client` that asks: its name or an address")
	f.BoolVar(&q.Accounting, "accounting", false, "explain accounting instead of authentication")
	f.StringVar(&q.Station, "station", "", "Calling-Station-Id, such as a MAC address")
	f.StringVar(&q.IMSI, "imsi", "", "3GPP-IMSI")
	f.StringVar(&q.CUI, "cui", "", "Chargeable-User-Identity")
	f.IntVar(&q.NASPortType, "nas-port-type", -1, "NAS-Port-Type, 19 for Wi-Fi")
	f.IntVar(&q.RATType, "rat-type", -1, "3GPP-RAT-Type")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.BoolVar(&asTest, "as-test", false, "print a test for roamgate test, which expects this answer")
	f.StringVarP(&path, "config", "c", "", "explain this configuration `file` instead of the running hub")
	at.flag(c)
	return c
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
	line("realm", x.Realm, "")
	if x.Rule != "" {
		line("rule", x.Rule+", "+x.Match+" match", x.RuleAt)
	}
	line("pool", x.Pool, x.PoolAt)
	for i, c := range x.Order {
		state := c.State
		if c.Cause != home.Well.String() {
			state += " (" + c.Cause + ")"
		}
		line(fmt.Sprintf("  %d.", i+1), fmt.Sprintf("%s %s priority %d weight %d %s", c.Home, c.Address, c.Priority, c.Weight, state), c.At)
	}
	line("acknowledge", x.Ack, "")
	if x.Profile != "" {
		x.Policy += ", profile " + x.Profile
	}
	line("policy", x.Policy, "")
	line("result", strings.TrimSuffix(x.Result+": "+x.Reason, ": "), "")
	line("", x.Text, "")
}
