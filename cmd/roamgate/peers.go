package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/aaa/agent"
	"github.com/roamgate/roamgate/realm/file"
)

// peerUp are the states in which a peer takes requests, and those that are wanted.
var peerUp = map[string]bool{"open": true, "disabled": true, "closing": true}

// peerMissing reports whether something is wrong with a peer.
func peerMissing(p *agent.PeerStatus) bool {
	return !peerUp[p.State] && !(p.Guest && p.State == "down")
}

func (s *server) peersJSON(w http.ResponseWriter, _ *http.Request) {
	all := []agent.PeerStatus{}
	if s.agent != nil {
		all = append(all, s.agent.Peers()...)
	}
	writeJSON(w, all)
}

// peersPart says whether all peers are connected.
func peersPart(all []agent.PeerStatus) part {
	var down []string
	for i := range all {
		if p := &all[i]; peerMissing(p) {
			down = append(down, p.Name+" ("+p.State+")")
		}
	}
	if len(down) == 0 {
		return part{Name: "peers", OK: true, Text: "none is down"}
	}
	return part{Name: "peers", Text: "down: " + strings.Join(down, ", ")}
}

func statusPeersCommand() *cobra.Command {
	var at hubAddress
	var asJSON bool
	c := &cobra.Command{
		Use:   "peers [NAME]",
		Short: "Say how it stands with the Diameter peers",
		Long: `Say how it stands with the Diameter peers of the running hub, or with one of
them: its connections, what waits for it, what it speaks, and why it is not
there. Exit code 0: all are connected, but for those that are disabled, and for
those that connect by themselves and are in no pool.`,
		Example: "  roamgate status peers\n  roamgate status peers mvno-hss-1 --json",
		Args:    atMost("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var all []agent.PeerStatus
			if err := at.get(cmd.Context(), "/peers", &all); err != nil {
				return err
			}
			if len(args) == 1 {
				one := all[:0]
				for _, p := range all {
					if p.Name == args[0] {
						one = append(one, p)
					}
				}
				if all = one; len(all) == 0 {
					return problem("there is no peer %s", args[0])
				}
			}
			write := writePeers
			if len(args) == 1 {
				write = writePeer
			}
			if asJSON {
				write = func(w io.Writer, all []agent.PeerStatus) error { return indented(w, all) }
			}
			if err := write(cmd.OutOrStdout(), all); err != nil {
				return err
			}
			for i := range all {
				if peerMissing(&all[i]) {
					return &exitError{code: exitProblem}
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	at.flag(c)
	return c
}

func writePeers(out io.Writer, all []agent.PeerStatus) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "PEER\tSTATE\tIDENTITY\tADDRESS\tAWAITED\tOWED\tQUEUED")
	for i := range all {
		p := &all[i]
		address, awaited, owed, queued := "", 0, 0, 0
		for _, c := range p.Connections {
			if address == "" {
				address = c.Address
			}
			awaited, owed, queued = awaited+c.Awaited, owed+c.Owed, queued+c.Queued
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\n", p.Name, peerState(p), p.Identity, dash(address), awaited, owed, queued)
	}
	return w.Flush()
}

// peerState is the state, and why it is not a better one.
func peerState(p *agent.PeerStatus) string {
	state := p.State
	if p.Drain {
		state += ", drained"
	}
	if p.Error != "" && !peerUp[p.State] {
		state += " (" + p.Error + ")"
	}
	return state
}

func writePeer(out io.Writer, all []agent.PeerStatus) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for i := range all {
		p := &all[i]
		fmt.Fprintf(w, "peer\t%s\n", p.Name)
		fmt.Fprintf(w, "identity\t%s\n", p.Identity)
		fmt.Fprintf(w, "realm\t%s\n", p.Realm)
		fmt.Fprintf(w, "state\t%s\n", peerState(p))
		if p.Product != "" {
			fmt.Fprintf(w, "product\t%s\n", p.Product)
		}
		var speaks []string
		for _, a := range p.Applications {
			speaks = append(speaks, file.ApplicationName(a))
		}
		if p.Relay {
			speaks = append(speaks, "relay")
		}
		fmt.Fprintf(w, "speaks\t%s\n", dash(strings.Join(speaks, ", ")))
		for _, c := range p.Connections {
			fmt.Fprintf(w, "connection\t%s\n", connectionText(&c))
		}
	}
	return w.Flush()
}

func connectionText(c *agent.ConnectionStatus) string {
	parts := []string{c.State}
	if c.Address != "" {
		way := "from"
		if c.Ours {
			way = "to"
		}
		parts = append(parts, way+" "+c.Address+" over "+c.Transport, "watchdog "+c.Watchdog, "since "+c.Since.Format(time.RFC3339),
			fmt.Sprintf("%d awaited, %d owed, %d octets queued", c.Awaited, c.Owed, c.Queued))
	}
	if c.Certificate != "" {
		parts = append(parts, "certificate "+c.Certificate+" until "+c.Until.Format(time.DateOnly))
	}
	return strings.Join(parts, ", ")
}
