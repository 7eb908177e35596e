// Roamgate carries RADIUS between visited and home networks by realm,
// applies the homes' device policy, and turns every finished session into a
// clearing record that is durable before it is acknowledged.
//
// This package is wiring only: the subcommands, the main configuration file
// and the administration port. Every decision about a packet lives in the
// packages below aaa. Nothing here is used on the packet path, and nothing
// here is safe for concurrent use unless it says so.
//
// It owns no protocol; what is not configured here is configured in the
// routing files, which package realm/file describes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// Exit codes, stable for scripts.
const (
	exitProblem     = 1 // the answer is no, or something is wrong
	exitUsage       = 2
	exitUnreachable = 3 // the hub does not answer
)

// exitError carries an exit code; an empty text prints nothing.
type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return e.text }

func problem(format string, args ...any) error {
	return &exitError{exitProblem, fmt.Sprintf(format, args...)}
}

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run carries out one command line and gives the exit code.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	c := root()
	c.SetArgs(args)
	c.SetOut(out)
	c.SetErr(errs)
	err := c.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	code := exitUsage
	var exit *exitError
	if errors.As(err, &exit) {
		code = exit.code
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(errs, "roamgate: "+text)
	}
	return code
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "roamgate",
		Short: "A RADIUS roaming hub: routing by realm, device policy, durable accounting",
		Long: `roamgate stands between visited networks, where a device attaches, and home
networks, which know the device.

Five commands to begin with:
  roamgate check --config roamgate.yaml        say what is wrong with the files
  roamgate serve --config roamgate.yaml        carry traffic
  roamgate explain user@realm --config ...     say where a user goes, and why
  roamgate status                              say how the hub is
  roamgate records list                        say what it comes to`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.SetFlagErrorFunc(badFlag)
	return group(c, serveCommand(), checkCommand(), explainCommand(), testCommand(), sendCommand(), accountingCommand(),
		fmtCommand(), schemaCommand(), importCommand(), policyCommand(), recordsCommand(), spoolCommand(),
		planCommand(), applyCommand(), confirmCommand(), rollbackCommand(), historyCommand(), diffCommand(), homesCommand(), catalogueCommand(), statusCommand(), filtersCommand(), certCommand(), secretCommand(), discoverCommand(), versionCommand(), manCommand())
}
