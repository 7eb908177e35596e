package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/aaa"
)

func accountingCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "accounting",
		Short: "What homes have not taken: show, retry, drop",
		Long: `Records that are acknowledged are owed to their home until it takes them. Those
that it can never take are dead letters: they wait for you. Clearing has all of
them: only the home lacks them.`,
	}
	return group(c, accountingShowCommand(), accountingRetryCommand(), accountingDropCommand())
}

func accountingShowCommand() *cobra.Command {
	var at hubAddress
	var records, asJSON bool
	c := &cobra.Command{
		Use:     "show",
		Short:   "Count what is owed and what is dead, by realm and reason",
		Example: "  roamgate accounting show\n  roamgate accounting show --records",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if records {
				return showWaiting(cmd, &at, asJSON)
			}
			var sum waitingSummary
			if err := at.get(cmd.Context(), "/accounting", &sum); err != nil {
				return err
			}
			if asJSON {
				return indented(cmd.OutOrStdout(), sum)
			}
			return writeSummary(cmd.OutOrStdout(), &sum)
		},
	}
	c.Flags().BoolVar(&records, "records", false, "list every record")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	at.flag(c)
	return c
}

func writeSummary(out io.Writer, sum *waitingSummary) error {
	fmt.Fprintf(out, "%s owed, %s dead\n", count(int(sum.Owed), "record"), count(int(sum.Dead), "record"))
	if len(sum.Groups) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "REALM\tREASON\tRECORDS\tOLDEST")
	for _, g := range sum.Groups {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", dash(shown(g.Realm)), g.Reason, g.Records, when(g.Oldest))
	}
	if sum.Partial {
		fmt.Fprintf(w, "(the oldest %d only)\n", mostGrouped)
	}
	return w.Flush()
}

func when(unix int64) string {
	if unix == 0 {
		return "-"
	}
	return time.Unix(unix, 0).UTC().Format(time.RFC3339)
}

func showWaiting(cmd *cobra.Command, at *hubAddress, asJSON bool) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
	lines, rows := json.NewEncoder(cmd.OutOrStdout()), 0
	err := at.eachWaiting(cmd.Context(), func(rec aaa.Waiting) error {
		if asJSON {
			return lines.Encode(rec)
		}
		if rows%rowsAligned == 0 {
			_ = w.Flush()
			fmt.Fprintln(w, "SEQ\tTIME\tREALM\tREASON\tSESSION")
		}
		rows++
		reason := rec.Reason
		if reason == "" {
			reason = "owed"
		}
		_, err := fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", rec.Seq, when(rec.Time), dash(shown(rec.Realm)), reason, dash(shown(rec.SessionID)))
		return err
	})
	if ferr := w.Flush(); err == nil {
		err = ferr
	}
	return err
}

// selectionFlags let a command name records.
func selectionFlags(c *cobra.Command, sel *aaa.Selection, at *hubAddress) {
	c.Flags().BoolVar(&sel.All, "all", false, "all of them")
	c.Flags().StringVar(&sel.Realm, "realm", "", "those of a `realm`")
	at.flag(c)
}

// selection adds the numbers of the command line.
func selection(cmd *cobra.Command, sel *aaa.Selection, args []string) error {
	for _, a := range args {
		seq, err := strconv.ParseUint(a, 10, 64)
		if err != nil {
			return misuse(cmd, "%q is not a sequence number", a)
		}
		sel.Seqs = append(sel.Seqs, seq)
	}
	if !sel.All && sel.Realm == "" && len(sel.Seqs) == 0 {
		return misuse(cmd, "which records: numbers, --realm or --all")
	}
	return nil
}

func accountingRetryCommand() *cobra.Command {
	var at hubAddress
	var sel aaa.Selection
	c := &cobra.Command{
		Use:     "retry [SEQ...]",
		Short:   "Offer dead letters to their homes once more",
		Example: "  roamgate accounting retry --realm acme.example\n  roamgate accounting retry 17 42",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := selection(cmd, &sel, args); err != nil {
				return err
			}
			res, err := at.command(cmd.Context(), "/accounting/retry", sel)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s owed again\n", count(res.Records, "record"))
			return found(&sel, res.Records)
		},
	}
	selectionFlags(c, &sel, &at)
	return c
}

func accountingDropCommand() *cobra.Command {
	var at hubAddress
	var sel aaa.Selection
	var yes bool
	c := &cobra.Command{
		Use:   "drop [SEQ...]",
		Short: "Give dead letters up for good",
		Long: `Give dead letters up for good: their homes never get them, and retry does not
bring them back. With --owed also what is still owed. Clearing keeps them, and
the records stay in the spool as long as all others.`,
		Example: "  roamgate accounting drop --realm gone.example --owed",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := selection(cmd, &sel, args); err != nil {
				return err
			}
			if !yes && !agreed(cmd, "Homes will never get these records. Type yes to go on: ") {
				return problem("nothing was dropped")
			}
			res, err := at.command(cmd.Context(), "/accounting/drop", sel)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s dropped\n", count(res.Records, "record"))
			if res.Busy > 0 {
				return problem("%s left, on the way to their home just now: try again", count(res.Busy, "record"))
			}
			return found(&sel, res.Records)
		},
	}
	selectionFlags(c, &sel, &at)
	c.Flags().BoolVar(&sel.Owed, "owed", false, "also what is still owed")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

// found is the answer no where records were named and none of them waits.
func found(sel *aaa.Selection, n int) error {
	if n == 0 && len(sel.Seqs) > 0 {
		return problem("none of these records waits: roamgate accounting show --records lists those that do")
	}
	return nil
}

// agreed asks a question that only yes answers.
func agreed(cmd *cobra.Command, question string) bool {
	fmt.Fprint(cmd.ErrOrStderr(), question)
	line, _ := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 1024)).ReadString('\n')
	return strings.EqualFold(strings.TrimSpace(line), "yes")
}

// command has the hub do something, as often as it needs to get through.
func (h *hubAddress) command(ctx context.Context, path string, sel aaa.Selection) (sum commandResult, err error) {
	body, err := json.Marshal(sel)
	if err != nil {
		return sum, err
	}
	for {
		var res commandResult
		if err := h.post(ctx, path, body, &res); err != nil {
			return sum, err
		}
		sum.Records, sum.Busy = sum.Records+res.Records, res.Busy
		if !res.More {
			return sum, nil
		}
	}
}

func (h *hubAddress) post(ctx context.Context, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+h.addr+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking the hub at %s: %w", h.addr, err)
	}
	req.Header.Set(commandHeader, "1")
	req.Header.Set("Content-Type", "application/json")
	answer, err := h.do(req)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Close() }()
	if err := json.NewDecoder(answer).Decode(into); err != nil {
		return problem("reading the hub's answer: %v", err)
	}
	return nil
}
