package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
)

func recordsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "records",
		Short: "Read the accounting records",
		Long: `Read the accounting records of the running hub, or with --config those in the
spool of a hub that is stopped. Identities are shown as keyed hashes.`,
	}
	return group(c, recordsListCommand(), recordsShowCommand(), recordsExportCommand())
}

func recordsListCommand() *cobra.Command {
	var src recordSource
	var from uint64
	var limit int
	c := &cobra.Command{
		Use:     "list",
		Short:   "List records, a line each",
		Example: "  roamgate records list\n  roamgate records list --from 1000 --limit 50",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return src.table(cmd, from, limit)
		},
	}
	c.Flags().Uint64Var(&from, "from", 0, "first sequence `number`")
	c.Flags().IntVar(&limit, "limit", 0, "at most this `many`, 0 all")
	src.flags(c)
	return c
}

func recordsShowCommand() *cobra.Command {
	var src recordSource
	var raw bool
	c := &cobra.Command{
		Use:   "show SEQ",
		Short: "Show one record",
		Long: `Show one record as JSON. With --raw the packet is part of it as it was received,
in base64: with the user's name and whatever else the network sent.`,
		Example: "  roamgate records show 42\n  roamgate records show 42 --raw",
		Args:    exactly("SEQ"),
		RunE: func(cmd *cobra.Command, args []string) error {
			seq, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil {
				return usage(cmd, "%q is not a sequence number", args[0])
			}
			found := false
			err = src.each(cmd.Context(), seq, 1, raw, func(line []byte) bool {
				var r row
				if json.Unmarshal(line, &r) != nil || r.Seq != seq {
					return false
				}
				found = true
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", line)
				return err == nil
			})
			if err == nil && !found {
				return problem("there is no record %d", seq)
			}
			return err
		},
	}
	c.Flags().BoolVar(&raw, "raw", false, "with the packet as received, base64")
	src.flags(c)
	return c
}

func recordsExportCommand() *cobra.Command {
	var src recordSource
	var from uint64
	var raw bool
	c := &cobra.Command{
		Use:     "export",
		Short:   "Print records as JSON lines",
		Example: "  roamgate records export --from 1000 >records.jsonl",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := bufio.NewWriter(cmd.OutOrStdout())
			err := src.each(cmd.Context(), from, 0, raw, func(line []byte) bool {
				_, _ = w.Write(line)
				return w.WriteByte('\n') == nil
			})
			if ferr := w.Flush(); err == nil {
				err = ferr
			}
			return err
		},
	}
	c.Flags().Uint64Var(&from, "from", 0, "first sequence `number`")
	c.Flags().BoolVar(&raw, "raw", false, "with the packets as received, base64")
	src.flags(c)
	return c
}
