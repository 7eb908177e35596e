package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/realm/file"
)

func filtersCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "filters [NAME]",
		Short: "Show the ready filters of attributes",
		Long: `Show the names of the ready filters, or one of them as it is written.

in: and out: of clients, homes and groups take their names, and a filter of
your own can begin with one by profile:. What is shown is a routing file: copy
it under another name where it does not fit.`,
		Example: "  roamgate filters\n  roamgate filters wrix-i",
		Args:    atMost("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			if len(args) == 0 {
				fmt.Fprintln(out, strings.Join(file.ProfileNames(), "\n"))
				return nil
			}
			text := file.ProfileText(args[0])
			if text == "" {
				return problem("there is no ready filter %q: %s", args[0], strings.Join(file.ProfileNames(), ", "))
			}
			fmt.Fprint(out, text)
			return nil
		},
	}
}
