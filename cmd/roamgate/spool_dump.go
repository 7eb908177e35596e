package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
)

func spoolDumpCommand() *cobra.Command {
	var src recordSource
	var from uint64
	var limit int
	var raw, table bool
	c := &cobra.Command{
		Use:   "dump",
		Short: "Print received records as JSON lines",
		Long: `Print the records of received packets as JSON lines, from the running hub or
with --config from the spool of a hub that is stopped. Identities are shown as
keyed hashes. With --raw each packet is part of its line as it was received, in
base64: with the user's name and whatever else the network sent.`,
		Example: "  roamgate spool dump --from 1000 --limit 50\n  roamgate spool dump --table\n  roamgate spool dump --from 42 --limit 1 --raw --config roamgate.yaml",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if table {
				return src.table(cmd, from, limit)
			}
			w := bufio.NewWriter(cmd.OutOrStdout())
			err := src.each(cmd.Context(), from, limit, raw, func(line []byte) bool {
				_, _ = w.Write(line)
				return w.WriteByte('\n') == nil
			})
			if ferr := w.Flush(); err == nil {
				err = ferr
			}
			return err
		},
	}
	c.Flags().Uint64Var(&from, "from", 0, "first sequence `number`")
	c.Flags().IntVar(&limit, "limit", 0, "at most this `many`, 0 all")
	c.Flags().BoolVar(&raw, "raw", false, "with the packets as received, base64")
	c.Flags().BoolVar(&table, "table", false, "a line each to read, not JSON")
	c.MarkFlagsMutuallyExclusive("raw", "table")
	src.flags(c)
	return c
}

// recordSource is where records are read: a running hub or its directory.
type recordSource struct {
	at   hubAddress
	path string
}

func (r *recordSource) flags(c *cobra.Command) {
	r.at.flag(c)
	c.Flags().StringVarP(&r.path, "config", "c", "", "read the spool of this configuration `file`; its hub must be stopped")
}

// each calls f with the JSON of records from a sequence number on, until f
// says false, limit records were given or there are no more. limit 0: all.
func (r *recordSource) each(ctx context.Context, from uint64, limit int, raw bool, f func(line []byte) bool) error {
	if r.path != "" {
		return r.offline(from, limit, raw, f)
	}
	for left := limit; ; {
		n := maxRecords
		if limit > 0 {
			n = min(left, maxRecords)
		}
		got, next, err := r.page(ctx, from, n, raw, f)
		left -= got
		if err != nil || got < n || limit > 0 && left == 0 {
			return err
		}
		from = next
	}
}

// page reads one answer of the hub. got is less than n where f said stop or
// there are no more.
func (r *recordSource) page(ctx context.Context, from uint64, n int, raw bool, f func([]byte) bool) (got int, next uint64, err error) {
	url := "/records?from=" + strconv.FormatUint(from, 10) + "&limit=" + strconv.Itoa(n)
	if raw {
		url += "&raw"
	}
	body, err := r.at.open(ctx, url)
	if err != nil {
		return 0, 0, err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 64<<10), 1<<20)
	for lines.Scan() {
		var rec struct{ Seq uint64 }
		if err := json.Unmarshal(lines.Bytes(), &rec); err != nil {
			return got, next, problem("reading the hub's answer: %v", err)
		}
		next = rec.Seq + 1
		if !f(lines.Bytes()) {
			return got, next, nil
		}
		got++
	}
	if err := lines.Err(); err != nil {
		return got, next, problem("reading the hub's answer: %v", err)
	}
	return got, next, nil
}

func (r *recordSource) offline(from uint64, limit int, raw bool, f func([]byte) bool) error {
	conf, ps := loadConfig(r.path)
	if ps.Failed() {
		return refused(ps)
	}
	key, err := conf.identityKey(false)
	if err != nil {
		return problem("%v (has a hub run with this configuration?)", err)
	}
	dir := conf.path(conf.Spool.Directory)
	sp, err := spool.Open(dir, spool.Options{ReadOnly: true})
	if err != nil {
		return spoolProblem(dir, err, "ask it without --config")
	}
	defer func() { _ = sp.Close() }()
	view := conf.recordView(key)
	view.Raw = raw
	var line []byte
	n := 0
	err = sp.Read(from, func(seq uint64, b []byte) bool {
		rec, derr := accounting.Decode(b)
		if derr != nil {
			fmt.Fprintf(os.Stderr, "roamgate: record %d: %v\n", seq, derr)
			return true
		}
		rec.Seq = seq
		line = rec.AppendJSON(line[:0], view)
		n++
		return f(line) && (limit == 0 || n < limit)
	})
	if err != nil {
		return problem("%v", err)
	}
	return nil
}

// rowsAligned is how many rows of a list are held to align them, under a
// header each.
const rowsAligned = 1000

// table prints records a line each.
func (r *recordSource) table(cmd *cobra.Command, from uint64, limit int) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
	rows := 0
	err := r.each(cmd.Context(), from, limit, false, func(line []byte) bool {
		if rows%rowsAligned == 0 {
			_ = w.Flush()
			fmt.Fprintln(w, "SEQ\tEVENT TIME\tKIND\tCLIENT\tREALM\tSESSION\tSECONDS\tIN\tOUT\tNOTE")
		}
		rows++
		return writeRow(w, line) == nil
	})
	if ferr := w.Flush(); err == nil {
		err = ferr
	}
	return err
}

// row is what the list shows of a record's JSON.
type row struct {
	Seq       uint64      `json:"seq"`
	EventTime string      `json:"event_time"`
	Kind      string      `json:"kind"`
	Client    string      `json:"client"`
	Realm     string      `json:"realm"`
	SessionID string      `json:"session_id"`
	Seconds   json.Number `json:"session_time"`
	In        json.Number `json:"input_octets"`
	Out       json.Number `json:"output_octets"`
	Reason    string      `json:"quarantine"`
}

func writeRow(w io.Writer, line []byte) error {
	var r row
	if err := json.Unmarshal(line, &r); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Seq, r.EventTime, r.Kind, r.Client,
		dash(r.Realm), dash(shown(r.SessionID)), dash(r.Seconds.String()), dash(r.In.String()), dash(r.Out.String()), r.Reason)
	return err
}

// shown keeps what a network sent from moving a terminal's cursor or the
// table's columns.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) && r != utf8.RuneError {
			return r
		}
		return '.'
	}, s)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
