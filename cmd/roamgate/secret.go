package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"github.com/spf13/cobra"
)

func secretCommand() *cobra.Command {
	var octets int
	c := &cobra.Command{
		Use:   "secret",
		Short: "Print a new shared secret",
		Long: `Print a shared secret of random octets, as digits that every program takes.
Write it into a file that only the hub's user may read (umask 077), and name
that with secret_file.`,
		Example: "  roamgate secret > realms/secrets/acme",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if octets < 16 || octets > 126 {
				return misuse(cmd, "--octets %d is not in 16 to 126", octets)
			}
			b := make([]byte, octets)
			_, _ = rand.Read(b)
			fmt.Fprintln(cmd.OutOrStdout(), hex.EncodeToString(b))
			return nil
		},
	}
	c.Flags().IntVar(&octets, "octets", 16, "random octets, two digits each")
	return c
}
