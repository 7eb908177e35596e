package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/realm/migrate/freeradius"
)

func importFreeradiusCommand() *cobra.Command {
	var to importTarget
	c := &cobra.Command{
		Use:   "freeradius DIR",
		Short: "Make a configuration from the directory of radiusd.conf",
		Long: `Read radiusd.conf of FreeRADIUS 3.2 with all that it includes, as FreeRADIUS
does, and write roamgate.yaml, realms/*.yaml and secrets/* into a new directory.
Where the files say nothing, the program's compiled defaults count. A directory
with nothing but proxy.conf and clients.conf will do.

What stands in proxy.conf, clients.conf, listeners and realm modules is mapped
or named with its line. Policy of virtual servers is not carried out: it is
named, too. A realm that FreeRADIUS answers by itself is rejected by the hub
until it is given a pool. Certificates and keys stay where they are: the files
are named, not copied.

Exit code 1: FreeRADIUS itself would refuse the files.`,
		Example: "  roamgate import freeradius /etc/freeradius/3.0 --to /etc/roamgate\n" +
			"  roamgate import freeradius ./raddb --report json",
		Args: exactly("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			out, report, err := freeradius.Import(freeradius.Source{Dir: args[0], Env: os.LookupEnv})
			if err != nil {
				return refusedImport("FreeRADIUS", err)
			}
			return to.finish(cmd, out, report)
		},
	}
	to.flags(c)
	return c
}
