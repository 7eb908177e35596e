package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Mistakes in a command line are answered with what was meant and where to
// read on, and end with exitUsage.

func misuse(cmd *cobra.Command, format string, args ...any) error {
	return &exitError{exitUsage, fmt.Sprintf(format, args...) + "; " + cmd.CommandPath() + " --help says more"}
}

// exactly takes one argument, which the command line calls name.
func exactly(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return misuse(cmd, "%s is missing", name)
		case len(args) > 1:
			return misuse(cmd, "one %s is wanted, not %d", name, len(args))
		}
		return nil
	}
}

// atMost takes one argument or none.
func atMost(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return misuse(cmd, "one %s is wanted, not %d", name, len(args))
		}
		return nil
	}
}

// none takes no argument.
func none(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("%q is not understood", args[0])
	if cmd.Flags().Lookup("config") != nil {
		text += ": files are named with --config"
	}
	return misuse(cmd, "%s", text)
}

// group makes c a command that only has subcommands: alone it shows them, and
// a word that is none of them is a mistake (cobra would show the help and
// exit 0).
func group(c *cobra.Command, of ...*cobra.Command) *cobra.Command {
	c.AddCommand(of...)
	c.Args = cobra.ArbitraryArgs
	c.DisableFlagsInUseLine = true
	c.ValidArgsFunction = cobra.NoFileCompletions
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return misuse(cmd, "there is no command %q%s", args[0], near(cmd, args[0], ""))
	}
	return c
}

// badFlag adds the flag that was probably meant.
func badFlag(cmd *cobra.Command, err error) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "unknown flag: --"); ok {
		flags := &cobra.Command{}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
		})
		text = fmt.Sprintf("there is no flag --%s%s", name, near(flags, name, "--"))
	}
	return misuse(cmd, "%s", text)
}

// near suggests commands of c, by cobra's own measure.
func near(c *cobra.Command, word, prefix string) string {
	c.SuggestionsMinimumDistance = 2
	found := c.SuggestionsFor(word)
	if len(found) == 0 {
		return ""
	}
	return " (did you mean " + prefix + strings.Join(found, " or "+prefix) + "?)"
}
