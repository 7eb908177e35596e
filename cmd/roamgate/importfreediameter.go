package main

import (
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/realm/migrate/freediameter"
)

func importFreediameterCommand() *cobra.Command {
	var to importTarget
	var from []string
	c := &cobra.Command{
		Use:   "freediameter FILE",
		Short: "Make a configuration from freeDiameter.conf",
		Long: `Read freeDiameter.conf with what it includes, the rules of rt_default and the
names of acl_wl, as freeDiameter 1.2.1 does, and write roamgate.yaml and
realms/*.yaml into a new directory.

freeDiameter gives each peer a score for each request. The scores of all peers
are computed for each realm that the files know, and become pools of peers with
priorities. Rules for realms, for all requests and for what subscribers begin
with are mapped; those by Origin-Host, Origin-Realm, Session-Id and names are
named with their line.

Peers that acl_wl takes without TLS may come from anywhere there. Here they are
taken from the addresses of --from alone, and left out without it. Certificates
and keys stay where they are: the files are named, not copied.

Exit code 1: freeDiameter itself would refuse the files.`,
		Example: "  roamgate import freediameter /etc/freeDiameter/freeDiameter.conf --to /etc/roamgate\n" +
			"  roamgate import freediameter freeDiameter.conf --from 10.40.0.0/15 --to moved",
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ranges, err := prefixes(from)
			if err != nil {
				return misuse(cmd, "--from: %v", err)
			}
			conf, err := freediameter.Parse(freediameter.Disk{}, args[0])
			if err != nil {
				return refusedImport("freeDiameter", err)
			}
			out, report, err := freediameter.Import(conf, ranges)
			if err != nil {
				return problem("%s: %v", args[0], err)
			}
			return to.finish(cmd, out, report)
		},
	}
	to.flags(c)
	c.Flags().StringSliceVar(&from, "from", nil, "`addresses` that peers of acl_wl without TLS come from")
	return c
}

// prefixes reads addresses and ranges of them.
func prefixes(all []string) (out []netip.Prefix, err error) {
	for _, s := range all {
		p, err := netip.ParsePrefix(s)
		if a, bad := netip.ParseAddr(s); bad == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q is no address and no range", s)
		case p.Bits() == 0:
			return nil, fmt.Errorf("%s is everybody: name the ranges", s)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}
