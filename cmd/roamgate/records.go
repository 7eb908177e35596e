package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/clearing"
	"github.com/roamgate/roamgate/accounting/usage"
)

func recordsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "records",
		Short: "Read the usage records, and make them of what hubs have queued",
		Long: `Read the usage records: one for each session that ended, and one for each part
of a session that was cut at the end of a month. They are read from the hub or
the consumer that runs, or with --config from the store of one that is stopped.

Identities are shown as keyed hashes.`,
	}
	return group(c, recordsList(), recordsSearch(), recordsExplain(), recordsExport(), recordsSums(), recordsSignalling(), recordsDead(),
		recordsSchema(), recordsConsume())
}

// recordPlace says where a command reads.
type recordPlace struct {
	at   hubAddress
	path string
}

func (p *recordPlace) flags(c *cobra.Command) {
	p.at.flag(c)
	c.Flags().StringVarP(&p.path, "config", "c", "", "open the clearing store of this configuration `file`; PostgreSQL, or a directory that no process has open")
}

// open gives the book; the caller closes it.
func (p *recordPlace) open(ctx context.Context) (recordBook, func(), error) {
	if p.path == "" {
		return hubBook{&p.at}, func() {}, nil
	}
	conf, ps := loadConfig(p.path)
	if ps.Failed() {
		return nil, nil, refused(ps)
	}
	if err := conf.clearingExists(); err != nil {
		return nil, nil, err
	}
	s, err := conf.openClearing(ctx, nil)
	if err != nil {
		return nil, nil, conf.clearingProblem(err, askIt)
	}
	return storeBook{s}, func() { _ = s.Close() }, nil
}

// with runs f with the book open.
func (p *recordPlace) with(cmd *cobra.Command, f func(context.Context, recordBook) error) error {
	ctx := cmd.Context()
	b, done, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	return f(ctx, b)
}

// recordTable prints records as a table.
type recordTable struct {
	w    *tabwriter.Writer
	rows int
}

func newRecordTable(out io.Writer) *recordTable {
	return &recordTable{w: tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)}
}

func (t *recordTable) row(order uint64, r *usage.Record) error {
	if t.rows%rowsAligned == 0 {
		_ = t.w.Flush()
		fmt.Fprintln(t.w, "NO\tEND\tSTATUS\tCLIENT\tHOME\tSESSION\tSECONDS\tIN\tOUT\tBILL\tNOTES")
	}
	t.rows++
	bill := "yes"
	if !r.Billable {
		bill = "no"
	}
	notes := make([]string, len(r.Exceptions))
	for i, x := range r.Exceptions {
		notes[i] = string(x)
	}
	_, err := fmt.Fprintf(t.w, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\n", order, r.End.UTC().Format(time.RFC3339), r.Status,
		r.Client, dash(shown(r.Home.Realm)), dash(shown(r.SessionID)), r.Seconds, r.InputOctets, r.OutputOctets, bill, strings.Join(notes, " "))
	return err
}

func recordsList() *cobra.Command {
	var p recordPlace
	var q recordQuery
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List usage records, a line each",
		Example: "  roamgate records list\n  roamgate records list --realm acme.example --since 2026-10-01 --unbillable",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, b recordBook) error {
				if asJSON {
					e := json.NewEncoder(cmd.OutOrStdout())
					return b.records(ctx, q, func(_ uint64, r *usage.Record) error { return e.Encode(r) })
				}
				t := newRecordTable(cmd.OutOrStdout())
				return errors.Join(b.records(ctx, q, t.row), t.w.Flush())
			})
		},
	}
	q.flags(c.Flags())
	c.Flags().Uint64Var(&q.after, "after", 0, "only those behind this `number`")
	c.Flags().IntVar(&q.limit, "limit", 0, "at most this `many`, 0 all")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
	p.flags(c)
	return c
}

func recordsSearch() *cobra.Command {
	var p recordPlace
	var limit int
	c := &cobra.Command{
		Use:   "search WHAT",
		Short: "Find usage records by whatever is at hand",
		Long: `Find usage records by an Acct-Session-Id, a realm, the name of a client, an
exception code, or a hash as records show it: of a record, session, device, user
or CUI.`,
		Example: "  roamgate records search 5f3759df-0001\n  roamgate records search stop_missing",
		Args:    exactly("WHAT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, b recordBook) error {
				found, err := search(ctx, b, args[0], limit)
				if err != nil {
					return err
				}
				if len(found) == 0 {
					return problem("no usage record has %q in it", shown(args[0]))
				}
				t := newRecordTable(cmd.OutOrStdout())
				for _, n := range found {
					_ = t.row(n.Order, n.Record)
				}
				return t.w.Flush()
			})
		},
	}
	c.Flags().IntVar(&limit, "limit", 100, "at most this `many`")
	p.flags(c)
	return c
}

// search tries every meaning that what can have.
func search(ctx context.Context, b recordBook, what string, limit int) (found []numbered, err error) {
	tries := []recordQuery{{session: what}, {realm: strings.ToLower(what)}, {client: what}}
	if slices.Contains(usage.Exceptions(), usage.Exception(what)) {
		tries = append(tries, recordQuery{exception: what})
	}
	seen := map[uint64]bool{}
	take := func(order uint64, r *usage.Record) error {
		if !seen[order] {
			seen[order] = true
			found = append(found, numbered{order, r})
		}
		return nil
	}
	var key accounting.Key
	if key.UnmarshalText([]byte(what)) == nil {
		tries = append(tries, recordQuery{device: what}, recordQuery{user: what}, recordQuery{cui: what})
		a, err := b.account(ctx, key)
		if err != nil {
			return nil, err
		}
		if a != nil {
			for _, n := range a.Records {
				_ = take(n.Order, n.Record)
			}
		}
	}
	for _, q := range tries {
		q.limit = limit
		if err := b.records(ctx, q, take); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(found, func(a, b numbered) int { return int(int64(a.Order) - int64(b.Order)) })
	return found[:min(len(found), limit)], nil
}

func recordsSums() *cobra.Command {
	var p recordPlace
	var asJSON bool
	c := &cobra.Command{
		Use:   "sums",
		Short: "Say where every report ended",
		Long: `Say where every report of a hub ended: cleared, duplicate, conflict, rejected or
provisional, by hub, client and reason. The five add up to what was taken. Exit
code 1: they do not, or reports are missing or dead.`,
		Example: "  roamgate records sums",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, b recordBook) error {
				s, err := b.sums(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					err = indented(cmd.OutOrStdout(), s)
				} else {
					err = writeSums(cmd.OutOrStdout(), s)
				}
				if err == nil && (!s.addUp() || s.Missing > 0 || s.Dead > 0) {
					err = &exitError{code: exitProblem}
				}
				return err
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	p.flags(c)
	return c
}

// addUp says whether every report is in one class, and none in less than none.
func (s *sums) addUp() bool {
	n := int64(0)
	for _, v := range s.Classes {
		if v < 0 {
			return false
		}
		n += v
	}
	return n == s.Reports
}

func writeSums(out io.Writer, s *sums) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "reports\t%d\n", s.Reports)
	for c := range usage.Classes {
		fmt.Fprintf(w, "  %s\t%d\n", c, s.Classes[c.String()])
	}
	if !s.addUp() {
		fmt.Fprintln(w, "THE CLASSES DO NOT ADD UP TO THE REPORTS")
	}
	for _, st := range []usage.Status{usage.Final, usage.Partial, usage.Estimated, usage.Correction} {
		fmt.Fprintf(w, "records %s\t%d\n", st, s.Records[string(st)])
	}
	fmt.Fprintf(w, "open sessions\t%d\ndead letters\t%d\nmissing reports\t%d\n", s.Open, s.Dead, s.Missing)
	for _, r := range s.Sources {
		fmt.Fprintf(w, "hub %s\tspool %d\tnothing missing up to %d\tnewest %d\n", r.Node, r.Epoch, r.Whole, r.Highest)
	}
	fmt.Fprintln(w, "\nHUB\tCLIENT\tCLASS\tREASON\tREPORTS")
	for _, r := range s.Rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\n", r.Node, r.Client, r.Class, dash(r.Reason), r.N)
	}
	return w.Flush()
}

func recordsDead() *cobra.Command {
	var p recordPlace
	var asJSON bool
	c := &cobra.Command{
		Use:   "dead",
		Short: "List what came through the queue and could not be taken",
		Long: `List what came through the queue and could not be taken: entries that no hub
wrote, lines that cannot be read, or that only a newer program reads. They are
kept. With --json their octets are shown too.`,
		Example: "  roamgate records dead",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, b recordBook) error {
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
				e := json.NewEncoder(cmd.OutOrStdout())
				const page = 100
				for after := uint64(0); ; {
					letters, err := b.letters(ctx, after, page)
					if err != nil {
						return err
					}
					for i := range letters {
						l := &letters[i]
						if after == 0 && i == 0 && !asJSON {
							fmt.Fprintln(w, "NO\tTIME\tREASON\tHUB\tRECORDS\tOCTETS\tDETAIL")
						}
						if asJSON {
							err = e.Encode(l)
						} else {
							err = letterRow(w, l)
						}
						if err != nil {
							return err
						}
					}
					if len(letters) < page {
						return w.Flush()
					}
					after = letters[len(letters)-1].Number
				}
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON lines, with what came")
	p.flags(c)
	c.AddCommand(recordsDeadChange("retry"), recordsDeadChange("drop"))
	return c
}

func letterRow(w io.Writer, l *clearing.DeadLetter) error {
	records := "-"
	if l.Last != 0 {
		records = strconv.FormatUint(l.First, 10) + " to " + strconv.FormatUint(l.Last, 10)
	}
	_, err := fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%d\t%s\n", l.Number, l.Time.UTC().Format(time.RFC3339), l.Reason, dash(shown(l.Node)),
		records, len(l.Data)+len(l.Quarantined), shown(l.Detail))
	return err
}

// recordsDeadChange retries or drops dead letters of a store that no other
// process has open, or of PostgreSQL.
func recordsDeadChange(what string) *cobra.Command {
	var path string
	var all bool
	long := map[string]string{
		"retry": "Take dead letters once more, such as after an upgrade. What is still wrong with\none is said, and it stays.",
		"drop":  "Give dead letters up: what is in them will never be cleared. The log of the\nstore's process does not show it: keep what `roamgate records dead --json` says.",
	}[what]
	c := &cobra.Command{
		Use:     what + " [NUMBER]",
		Short:   strings.SplitN(long, ".", 2)[0],
		Long:    long + "\nPostgreSQL may be in use; a directory must not be.",
		Example: "  roamgate records dead " + what + " 7 --config roamgate.yaml\n  roamgate records dead " + what + " --all --config roamgate.yaml",
		Args:    atMost("NUMBER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == all {
				return misuse(cmd, "NUMBER or --all is wanted")
			}
			p := recordPlace{path: path}
			return p.with(cmd, func(ctx context.Context, b recordBook) error {
				return changeLetters(ctx, cmd.OutOrStdout(), b.(storeBook).s, what, args)
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "all of them")
	configFlag(c, &path)
	return c
}

func changeLetters(ctx context.Context, out io.Writer, s *clearing.Store, what string, args []string) error {
	change, done := s.Retry, "taken"
	if what == "drop" {
		change, done = s.Drop, "dropped"
	}
	var numbers []uint64
	for _, a := range args {
		n, err := strconv.ParseUint(a, 10, 64)
		if err != nil {
			return problem("%q is not the number of a dead letter", a)
		}
		numbers = append(numbers, n)
	}
	if len(args) == 0 {
		for l, err := range s.DeadLetters(ctx, 0) {
			if err != nil {
				return err
			}
			numbers = append(numbers, l.Number)
		}
	}
	failed := false
	for _, n := range numbers {
		if err := change(ctx, n); err != nil {
			failed = true
			fmt.Fprintf(out, "%d: %v\n", n, err)
			continue
		}
		fmt.Fprintf(out, "%d: %s\n", n, done)
	}
	if failed {
		return &exitError{code: exitProblem}
	}
	return nil
}

func recordsSchema() *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON schema of a usage record",
		Example: "  roamgate records schema >usage-record.schema.json",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(usage.Schema())
			return err
		},
	}
}
