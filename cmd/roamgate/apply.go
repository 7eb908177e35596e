package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/realm/history"
)

func applyCommand() *cobra.Command {
	var at hubAddress
	var asJSON bool
	var guard string
	o := applyOrder{Who: caller()}
	c := &cobra.Command{
		Use:   "apply",
		Short: "Let the running hub take the routing files into use",
		Long: `Let the running hub read its routing files and take them into use. Files with
mistakes are refused as a whole: exit code 1.

With --confirm the hub goes back to the version before by itself, unless
"roamgate confirm" comes in time, also over a restart. A second apply confirms
too; with --confirm it only gives more time.

With --guard the hub goes back when the share of Access-Requests that are
accepted falls by more than so much of itself, each client held against its
own last ten minutes. It watches for the time of --confirm, or ten minutes,
and judges by 100 answers or more. A restart of the hub ends it.`,
		Example: "  roamgate apply --confirm 5m --guard accepts=20% --comment ticket-4711\n  roamgate apply --expect 3f2a9c1d22aa",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Guard, err = guardOf(guard); err != nil {
				return misuse(cmd, "%s", err)
			}
			return at.change(cmd, "/apply", o, asJSON)
		},
	}
	f := c.Flags()
	f.DurationVar((*time.Duration)(&o.Confirm), "confirm", 0, "go back unless this is confirmed within the `time`, such as 5m")
	f.StringVar(&guard, "guard", "", "go back when accepts fall: `accepts=PERCENT`")
	f.StringVar(&o.Comment, "comment", "", "`text` for the history")
	f.StringVar(&o.Expect, "expect", "", "only if the files are still of this `hash`, which plan has shown")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	at.flag(c)
	return c
}

// guardOf reads accepts=20%.
func guardOf(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	share, ok := strings.CutPrefix(text, "accepts=")
	n, err := strconv.Atoi(strings.TrimSuffix(share, "%"))
	if !ok || err != nil || n < 1 || n > 100 {
		return 0, fmt.Errorf("--guard %q is not understood, accepts=20%% is", text)
	}
	return n, nil
}

func confirmCommand() *cobra.Command {
	var at hubAddress
	var asJSON bool
	o := backOrder{Who: caller()}
	c := &cobra.Command{
		Use:   "confirm",
		Short: "Keep the routing files that were applied with --confirm or --guard",
		Long: `Keep the routing files that "roamgate apply" has taken into use for a trial:
the hub does not go back any more. Exit code 1: nothing is on trial, which may
mean that it has gone back already; "roamgate history" says.`,
		Example: "  roamgate confirm --comment logins-are-well",
		Args:    none,
		RunE:    func(cmd *cobra.Command, _ []string) error { return at.change(cmd, "/confirm", o, asJSON) },
	}
	c.Flags().StringVar(&o.Comment, "comment", "", "`text` for the history")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	at.flag(c)
	return c
}

func rollbackCommand() *cobra.Command {
	var at hubAddress
	var asJSON bool
	o := backOrder{Who: caller()}
	c := &cobra.Command{
		Use:   "rollback [STEPS|HASH]",
		Short: "Let the running hub go back to older routing files",
		Long: `Let the running hub take a version of its history into use, with the secrets of
today: the one before, or so many steps back as "roamgate history" numbers
them, or the one whose hash begins like this. 0 is the version in use, which
is loaded again.

The files on disk stay as they are. Until they are changed the hub does not
take them again by itself, and status says that they differ from what runs.`,
		Example: "  roamgate rollback\n  roamgate rollback 3f2a9c1d22aa --comment ticket-4711",
		Args:    atMost("STEPS|HASH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.To = args[0]
			}
			return at.change(cmd, "/rollback", o, asJSON)
		},
	}
	c.Flags().StringVar(&o.Comment, "comment", "", "`text` for the history")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	at.flag(c)
	return c
}

// caller is who the history says it was: it is what the system says, and no
// proof.
func caller() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// change asks the hub for a change and says what became of it.
func (h *hubAddress) change(cmd *cobra.Command, path string, order any, asJSON bool) error {
	h.patience = changeTime
	body, err := json.Marshal(order)
	if err != nil {
		return err
	}
	var out changeAnswer
	if err := h.post(cmd.Context(), path, body, &out); err != nil {
		return err
	}
	if asJSON {
		err = indented(cmd.OutOrStdout(), out)
	} else {
		writeChange(cmd.OutOrStdout(), &out)
	}
	if err == nil && out.Result == history.Refused {
		return problem("the files are refused, what runs stays")
	}
	return err
}

func writeChange(w io.Writer, out *changeAnswer) {
	for _, p := range out.Problems {
		fmt.Fprintln(w, p)
	}
	switch out.Result {
	case history.Taken, history.Gone:
		word := map[string]string{history.Taken: "applied", history.Gone: "rolled back to"}[out.Result]
		fmt.Fprintf(w, "%s %s", word, out.Hash)
		if out.Left != out.Hash && !out.Left.IsZero() {
			fmt.Fprintf(w, " in the place of %s", out.Left)
		}
		if out.Change != "" {
			fmt.Fprintf(w, ": %s", out.Change)
		}
		fmt.Fprintln(w)
	case history.Same:
		fmt.Fprintf(w, "nothing to do: %s is in use\n", out.Hash)
	case history.Kept:
		fmt.Fprintf(w, "confirmed: %s stays\n", out.Hash)
	case history.Postponed:
		fmt.Fprintf(w, "still to be confirmed: %s\n", out.Hash)
	}
	if !out.Until.IsZero() {
		fmt.Fprintf(w, "roamgate confirm keeps it; else the hub goes back to %s at %s\n", out.Base, out.Until.Local().Format(time.TimeOnly))
	}
}
