package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/realm/migrate/csv"
)

func importCSVCommand() *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "csv FILE",
		Short: "Make routes from a spreadsheet",
		Long: `Read a spreadsheet of realms, ranges of IMSIs and mobile networks and write a
routing file: an entry for each row. The pools stand in other routing files, or
are written too where a row names the host of its home.

The first row names the columns; case and order do not matter:
  realm                realm, *.suffix, none or default
  imsi                 the digits that IMSIs begin with, or a range a-b
  imsi_from, imsi_to   a range in two columns
  plmn                 262-01, 26201, or 262 for a country
  mcc, mnc             the same in two columns
  pool                 pool for authentication and accounting
  auth, accounting     the same in two columns
  acknowledge          home or durable
  reject               text of the Access-Reject instead of a pool
  host                 name or address of the home, instead of a pool
  port                 of it, 2083, or 1812 over udp and tcp
  transport            tls (default), dtls, tcp or udp
  tls                  entry of tls in the routing files, if there are several
  secret_file          over tcp and udp
  name, comment        of the route
A row has one of the first three kinds. Values are separated by commas,
semicolons or tabs, in quotes where they contain one (RFC 4180); UTF-8.

Every mistake is named with line and column, and then nothing is written.`,
		Example: "  roamgate import csv partners.csv --to /etc/roamgate/realms/50-partners.yaml\n" +
			"  roamgate import csv partners.csv",
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := os.Open(args[0])
			if err != nil {
				return problem("%v", err)
			}
			defer in.Close()
			root, routes, err := csv.Import(args[0], in)
			if err != nil {
				return problem("%v", err)
			}
			if to == "" {
				_, err := cmd.OutOrStdout().Write(root.Bytes())
				return err
			}
			if err := writeNew(to, root.Bytes()); err != nil {
				return problem("%v", err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s written to %s\n", count(routes, "route"), to)
			return err
		},
	}
	c.Flags().StringVar(&to, "to", "", "new routing `file`; without it the routes are printed")
	return c
}

// writeNew writes a file that is not there yet.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
