package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/aaa"
	"github.com/roamgate/roamgate/aaa/home"
)

func homesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "homes",
		Short: "Homes of the running hub: list, show, drain, disable, enable",
		Long: `How the homes of the running hub are, and what the operator lets them do while
it runs: what is said here outlives reloads of the files, not the process. For
good it is said in the files, with drain, disabled and maintenance.`,
	}
	return group(c, homesListCommand(), homesShowCommand(),
		homesUseCommand("drain", home.Draining, "Begin no conversation at a home, and let those go on that have begun",
			`Begin no conversation at a home. What has begun there goes on: conversations
that carry its State, and accounting of sessions that ran before. New ones go to
the other homes of its pools; where there is none they are refused.`),
		homesUseCommand("disable", home.Off, "Send nothing to a home",
			`Send nothing to a home, whatever has begun there. Requests that are at the home
already still take its answer.`),
		homesUseCommand("enable", home.InUse, "End what drain and disable began",
			`End what drain and disable began. What the files say of a home, and its
maintenance windows, stay.`))
}

func homesListCommand() *cobra.Command {
	var at hubAddress
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the homes, their addresses and how they are",
		Example: "  roamgate homes list",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []aaa.HomeReport
			if err := at.get(cmd.Context(), "/homes", &all); err != nil {
				return err
			}
			if asJSON {
				return indented(cmd.OutOrStdout(), all)
			}
			return writeHomes(cmd.OutOrStdout(), all)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	at.flag(c)
	return c
}

func homesShowCommand() *cobra.Command {
	var at hubAddress
	var asJSON bool
	c := &cobra.Command{
		Use:     "show NAME",
		Short:   "Show all that is known of one home",
		Example: "  roamgate homes show acme-1",
		Args:    exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var all, mine []aaa.HomeReport
			if err := at.get(cmd.Context(), "/homes", &all); err != nil {
				return err
			}
			for _, h := range all {
				if h.Name == args[0] {
					mine = append(mine, h)
				}
			}
			switch {
			case len(mine) == 0:
				return problem("there is no home %s", args[0])
			case asJSON:
				return indented(cmd.OutOrStdout(), mine)
			}
			return writeHome(cmd.OutOrStdout(), mine)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	at.flag(c)
	return c
}

func writeHomes(out io.Writer, all []aaa.HomeReport) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "HOME\tKIND\tADDRESS\tSTATE")
	for i := range all {
		h := &all[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", h.Name, h.Kind, dash(cmp.Or(h.Address, h.Host)), homeState(h))
	}
	return w.Flush()
}

func writeHome(out io.Writer, legs []aaa.HomeReport) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	h := &legs[0]
	fmt.Fprintf(w, "home\t%s\t%s\n", h.Name, h.At)
	fmt.Fprintf(w, "pools\t%s\n", dash(strings.Join(h.Pools, ", ")))
	if h.Host != "" {
		fmt.Fprintf(w, "name\t%s\t%s\n", h.Host, h.Lookup)
	}
	for i := range legs {
		fmt.Fprintf(w, "%s\t%s\t%s\n", legs[i].Kind, dash(legs[i].Address), homeState(&legs[i]))
	}
	return w.Flush()
}

// homeState is how a home is, in a few words.
func homeState(h *aaa.HomeReport) string {
	state := h.State
	if h.Cause != home.Well.String() {
		if state += " (" + h.Cause; h.Because != "" {
			state += ": " + h.Because
		}
		state += ")"
	}
	if h.Use == home.InUse.String() {
		return state
	}
	state += ", " + h.Use + " by " + h.By
	if h.Since != 0 {
		state += " since " + when(h.Since)
	}
	if h.Until != 0 {
		state += " until " + when(h.Until)
	}
	return state
}

// homeUse asks for a home to be used in a way.
type homeUse struct {
	Home    string `json:"home"`
	Seconds int64  `json:"seconds,omitempty"` // 0: until told otherwise
}

const mostUse = 366 * 24 * time.Hour

func homesUseCommand(verb string, use home.Use, short, long string) *cobra.Command {
	var at hubAddress
	var lasts time.Duration
	c := &cobra.Command{
		Use:     verb + " NAME",
		Short:   short,
		Long:    long,
		Example: "  roamgate homes " + verb + " acme-1",
		Args:    exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if lasts != 0 && (lasts < time.Second || lasts > mostUse) {
				return misuse(cmd, "--for is from 1s to %s", mostUse)
			}
			body, err := json.Marshal(homeUse{args[0], int64(lasts / time.Second)})
			if err != nil {
				return err
			}
			var legs []aaa.HomeReport
			if err := at.post(cmd.Context(), "/homes/"+verb, body, &legs); err != nil {
				return err
			}
			if err := writeHomes(cmd.OutOrStdout(), legs); err != nil {
				return err
			}
			if len(legs) > 0 && legs[0].Use != use.String() {
				return problem("it is %s by %s all the same", legs[0].Use, legs[0].By)
			}
			return nil
		},
	}
	if use != home.InUse {
		c.Example += "\n  roamgate homes " + verb + " acme-1 --for 2h"
		c.Flags().DurationVar(&lasts, "for", 0, "`time` after which it ends by itself; until told otherwise if not given")
	}
	at.flag(c)
	return c
}

func (s *server) homesJSON(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.hub.HomeReports()) }

// useHome answers a POST with how the home is then.
func (s *server) useHome(use home.Use) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var ask homeUse
		if code, err := readCommand(w, r, &ask); err != nil {
			http.Error(w, err.Error(), code)
			return
		}
		until := int64(0)
		switch {
		case ask.Seconds < 0 || ask.Seconds > int64(mostUse/time.Second):
			http.Error(w, "seconds: not a time", http.StatusBadRequest)
			return
		case ask.Seconds > 0:
			until = time.Now().Unix() + ask.Seconds
		}
		if err := s.hub.SetUse(ask.Home, use, until); err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		mine := []aaa.HomeReport{}
		for _, h := range s.hub.HomeReports() {
			if h.Name == ask.Home {
				mine = append(mine, h)
			}
		}
		writeJSON(w, mine)
	}
}
