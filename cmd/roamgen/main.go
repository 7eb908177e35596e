// Command roamgen plays the networks around a roaming proxy: visited
// networks that send and home servers that answer, by a script. It is used by
// `make run`, tests and benchmarks and is never packaged.
//
// The engines are packages play, for RADIUS, and node, for Diameter; here are only flags and what is printed. The
// demo starts roamgate as a child process between two visited and three home
// networks, all on loopback.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	// A reader that goes away ends us in order too: nothing may stay behind.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	err := newRoot().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "roamgen:", err)
		os.Exit(1)
	}
}

// errDoesNotAddUp ends a command whose summary found something missing.
var errDoesNotAddUp = errors.New("the figures do not add up")

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "roamgen",
		Short:         "Plays visited networks and home servers around a roaming proxy",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newHomeCommand(), newNASCommand(), newDiameterCommand(), newDemoCommand())
	return root
}
