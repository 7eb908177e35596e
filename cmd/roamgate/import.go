package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/realm/migrate"
	"github.com/roamgate/roamgate/realm/migrate/radsecproxy"
)

func importCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "import",
		Short: "Come over from another program: make a configuration from its files",
		Long: `Read the configuration of another program as that program reads it, and write
one of a hub that decides the same. Each written line says where it comes from;
a report names every directive that is not mapped, with its line, and every
decision that the hub takes otherwise. Nothing that is there is overwritten.`,
	}
	return group(c, importRadsecproxyCommand(), importFreeradiusCommand(), importFreediameterCommand(), importCSVCommand(), importVerifyCommand())
}

// importTarget is where an import writes to, and how it reports.
type importTarget struct {
	dir    string
	format string
	all    bool
}

func (t *importTarget) flags(c *cobra.Command) {
	c.Flags().StringVar(&t.dir, "to", "", "new or empty directory for the configuration; without it only the report is printed")
	c.Flags().StringVar(&t.format, "report", "text", "text or json")
	c.Flags().BoolVar(&t.all, "all", false, "name the directives that are mapped as well")
}

// finish writes the configuration and prints the report.
func (t *importTarget) finish(cmd *cobra.Command, out *migrate.Config, report *migrate.Report) error {
	if t.format != "text" && t.format != "json" {
		return misuse(cmd, "--report %q is not known: text or json", t.format)
	}
	if t.dir != "" {
		if err := out.Write(t.dir); err != nil {
			return problem("%v", err)
		}
	}
	if t.format == "json" {
		return report.WriteJSON(cmd.OutOrStdout())
	}
	return report.WriteText(cmd.OutOrStdout(), t.all)
}

// refusedImport is what a file that the original would not take ends with.
func refusedImport(program string, err error) error {
	var r *migrate.Refusal
	if errors.As(err, &r) {
		return problem("%v\n%s would not start with it either: correct the file first", err, program)
	}
	return problem("%v", err)
}

func importRadsecproxyCommand() *cobra.Command {
	var to importTarget
	var names bool
	c := &cobra.Command{
		Use:   "radsecproxy FILE",
		Short: "Make a configuration from radsecproxy.conf",
		Long: `Read radsecproxy.conf with all that it includes, as radsecproxy does, and write
roamgate.yaml, realms/*.yaml and secrets/* into a new directory. Shared secrets
are moved into files that only their owner can read.

The first realm of the file that matches counts in radsecproxy; where the order
of the hub's tiers would decide otherwise, realms become expressions with ranks.
Certificates and keys stay where they are: the files are named, not copied.

Exit code 1: radsecproxy itself would refuse the file.`,
		Example: "  roamgate import radsecproxy /etc/radsecproxy.conf --to /etc/roamgate\n" +
			"  roamgate import radsecproxy radsecproxy.conf --report json",
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, err := radsecproxy.Parse(radsecproxy.Disk{}, args[0])
			if err != nil {
				return refusedImport("radsecproxy", err)
			}
			resolve := lookUp
			if !names {
				resolve = nil
			}
			out, report := radsecproxy.Import(cmd.Context(), conf, resolve)
			return to.finish(cmd, out, report)
		},
	}
	to.flags(c)
	c.Flags().BoolVar(&names, "resolve", true, "look the names of clients up now, as radsecproxy does when it starts")
	return c
}

const lookUpPatience = 5 * time.Second

// lookUp asks the system's resolver.
func lookUp(ctx context.Context, name string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookUpPatience)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, fmt.Errorf("looking up %s: %w", name, err)
	}
	return found, nil
}
