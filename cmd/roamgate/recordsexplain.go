package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

func recordsExplain() *cobra.Command {
	var p recordPlace
	var asJSON bool
	c := &cobra.Command{
		Use:   "explain WHAT",
		Short: "Say what a record was made of, and why it is as it is",
		Long: `Say what a record was made of: all reports of its session, where each of them
ended, all records of the session, and what each exception code means. WHAT is
the id of a record, the key of a session, or an Acct-Session-Id.`,
		Example: "  roamgate records explain 5f3759df-0001",
		Args:    exactly("WHAT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, b recordBook) error {
				accounts, err := accountsOf(ctx, b, args[0])
				if err != nil {
					return err
				}
				if len(accounts) == 0 {
					return problem("no session or usage record has the name %q", shown(args[0]))
				}
				for i, a := range accounts {
					if asJSON {
						err = indented(cmd.OutOrStdout(), a)
					} else {
						if i > 0 {
							fmt.Fprintln(cmd.OutOrStdout())
						}
						err = writeAccount(cmd.OutOrStdout(), a)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	p.flags(c)
	return c
}

// accountsAtOnce bounds how many sessions of one Acct-Session-Id are explained.
const accountsAtOnce = 10

// accountsOf finds the sessions that a word names.
func accountsOf(ctx context.Context, b recordBook, what string) (found []*account, err error) {
	var key accounting.Key
	if key.UnmarshalText([]byte(what)) == nil {
		a, err := b.account(ctx, key)
		if err != nil || a != nil {
			return []*account{a}, err
		}
	}
	var keys []accounting.Key
	seen := map[accounting.Key]bool{}
	err = b.records(ctx, recordQuery{session: what, limit: maxRecords}, func(_ uint64, r *usage.Record) error {
		if !seen[r.Session] && len(keys) < accountsAtOnce {
			seen[r.Session] = true
			keys = append(keys, r.Session)
		}
		return nil
	})
	for _, k := range keys {
		a, aerr := b.account(ctx, k)
		if aerr != nil {
			return nil, aerr
		}
		if a != nil {
			found = append(found, a)
		}
	}
	return found, err
}

func writeAccount(out io.Writer, a *account) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	state := map[bool]string{true: "open", false: "closed"}[a.Open]
	if !a.Known {
		state = "no longer known"
	}
	key, _ := a.Session.MarshalText()
	fmt.Fprintf(w, "session %s, %s, %s taken\n", key, state, count(a.Taken, "report"))
	if n := len(a.Reports); n > 0 {
		fmt.Fprintln(w, "\nREPORT\tEVENT TIME\tKIND\tWENT TO\tSECONDS\tIN\tOUT")
		if n < a.Taken {
			fmt.Fprintf(w, "(%d older ones)\n", a.Taken-n)
		}
		for i := range a.Reports {
			t := &a.Reports[i]
			to := t.Class.String()
			if t.Reason != "" {
				to += " (" + t.Reason + ")"
			}
			fmt.Fprintf(w, "%s/%d\t%s\t%s\t%s\t%d\t%d\t%d\n", t.Node, t.Seq, t.Event.UTC().Format(time.RFC3339), t.Kind, to,
				t.SessionTime, t.InputOctets, t.OutputOctets)
		}
	}
	var seconds, in, outOctets int64
	for _, n := range a.Records {
		r := n.Record
		id, _ := r.ID.MarshalText()
		fmt.Fprintf(w, "\nrecord %d\t%s\n", n.Order, id)
		fmt.Fprintf(w, "  part %d, %s\t%s to %s\n", r.Part, r.Status, r.Start.UTC().Format(time.RFC3339), r.End.UTC().Format(time.RFC3339))
		fmt.Fprintf(w, "  usage\t%d s, %d octets in, %d octets out\n", r.Seconds, r.InputOctets, r.OutputOctets)
		fmt.Fprintf(w, "  visited\t%s\n  home\t%s\n", party(r.Visited, r.Client), party(r.Home, r.Route))
		fmt.Fprintf(w, "  closed by\treport %s/%d of spool %d\n", r.Source.Node, r.Source.Seq, r.Source.Epoch)
		if r.Corrects != nil {
			id, _ := r.Corrects.MarshalText()
			fmt.Fprintf(w, "  corrects\t%s\n", id)
		}
		for _, x := range r.Exceptions {
			mark := "note"
			if x.Quarantines() {
				mark = "NOT BILLED"
			}
			fmt.Fprintf(w, "  %s\t%s: %s\n", mark, x, x.Text())
		}
		seconds, in, outOctets = seconds+r.Seconds, in+r.InputOctets, outOctets+r.OutputOctets
	}
	fmt.Fprintf(w, "\nin all\t%s: %d s, %d octets in, %d octets out\n", count(len(a.Records), "record"), seconds, in, outOctets)
	return w.Flush()
}

// party is one side by all its names.
func party(p usage.Party, name string) string {
	text := dash(name)
	for _, n := range []struct{ kind, name string }{
		{"realm", p.Realm}, {"WBAID", p.WBAID}, {"TADIG", p.TADIG}, {"E.212", p.E212}, {"ICC", p.ICC}, {"country", p.Country},
	} {
		if n.name != "" {
			text += ", " + n.kind + " " + shown(n.name)
		}
	}
	return text
}
