package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

// signalled are requests of one kind that a device has caused: what the hub has counted
// of signalling, which has no accounting of its own, and of non-IP data.
type signalled struct {
	Device      accounting.Key `json:"device,omitzero"` // keyed hash, zero: of none in particular
	Client      string         `json:"client"`
	Home        string         `json:"home,omitempty"`
	Application string         `json:"application"`
	Command     string         `json:"command"`
	Result      string         `json:"result"` // a code, none: no answer, or other
	Requests    int64          `json:"requests"`
	In          int64          `json:"input_octets"`
	Out         int64          `json:"output_octets"`
	Start       time.Time      `json:"start"`
	End         time.Time      `json:"end"`
}

// signalledOf reads a usage record that counts signalling; any other is none.
func signalledOf(r *usage.Record) (s signalled, ok bool) {
	what, hub, _ := strings.Cut(r.Service.Context, "@")
	parts := strings.Split(what, "/")
	if len(parts) != 3 || hub == "" || !strings.HasPrefix(r.SessionID, hub+";signalling;") {
		return s, false
	}
	s = signalled{
		Device: r.Device, Client: r.Client, Home: r.Home.Realm, Application: parts[0], Command: parts[1], Result: parts[2],
		Requests: r.InputPackets + r.OutputPackets, In: r.InputOctets, Out: r.OutputOctets, Start: r.Start, End: r.End,
	}
	if s.Device == (accounting.Key{}) {
		s.Device = r.User
	}
	return s, true
}

// kind is what of it is summed up together.
func (s *signalled) kind() signalled {
	return signalled{Device: s.Device, Client: s.Client, Home: s.Home, Application: s.Application, Command: s.Command, Result: s.Result}
}

// add sums up.
func (s *signalled) add(o *signalled) {
	s.Requests, s.In, s.Out = s.Requests+o.Requests, s.In+o.In, s.Out+o.Out
	if s.Start.IsZero() || o.Start.Before(s.Start) {
		s.Start = o.Start
	}
	if o.End.After(s.End) {
		s.End = o.End
	}
}

// order is by device, then by what it did.
func (s *signalled) order(o *signalled) int {
	return cmp.Or(bytes.Compare(s.Device[:], o.Device[:]), cmp.Compare(s.Client, o.Client), cmp.Compare(s.Home, o.Home),
		cmp.Compare(s.Application, o.Application), cmp.Compare(s.Command, o.Command), cmp.Compare(s.Result, o.Result))
}

// mostSignalled bounds what is summed up at once.
const mostSignalled = 1 << 20

func recordsSignalling() *cobra.Command {
	var p recordPlace
	var q recordQuery
	var each, asJSON bool
	c := &cobra.Command{
		Use:   "signalling",
		Short: "Show what devices signalled, and their non-IP data",
		Long: `Show what devices signalled (S6a, S6c, SGd, S6t), and their non-IP data (T6a,
T7): requests by device, visited network, home, command and result, with the
octets of data. They have no accounting of their own: the hub counts them for an
hour, or diameter.signalling, and makes usage records of the counts, which are
read here.

Devices are shown as keyed hashes.`,
		Example: "  roamgate records signalling --since 2026-10-01\n  roamgate records signalling --device 1f3870be274f6c49b3e31a0c6728957f --each",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, b recordBook) error {
				w := newSignalledTable(cmd.OutOrStdout(), asJSON)
				err := error(nil)
				if each {
					err = b.records(ctx, q, func(_ uint64, r *usage.Record) error {
						if s, ok := signalledOf(r); ok {
							return w.row(&s)
						}
						return nil
					})
				} else {
					err = signalledSums(ctx, b.records, q, w.row)
				}
				return errors.Join(err, w.w.Flush())
			})
		},
	}
	q.flags(c.Flags())
	c.Flags().BoolVar(&each, "each", false, "each count by itself, by the hour or diameter.signalling, in the order of the records")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
	p.flags(c)
	return c
}

// signalledSums calls f with what each device did, by kind, in their order.
func signalledSums(ctx context.Context, records func(context.Context, recordQuery, func(uint64, *usage.Record) error) error, q recordQuery, f func(*signalled) error) error {
	sums := make(map[signalled]*signalled)
	err := records(ctx, q, func(_ uint64, r *usage.Record) error {
		s, ok := signalledOf(r)
		if !ok {
			return nil
		}
		kind := s.kind()
		sum := sums[kind]
		if sum == nil {
			if len(sums) == mostSignalled {
				return problem("more than %d lines: choose with --device, --client, --realm or --since, or take --each", mostSignalled)
			}
			sum = new(signalled)
			*sum, sums[kind] = kind, sum
		}
		sum.add(&s)
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range slices.SortedFunc(maps.Values(sums), (*signalled).order) {
		if err := f(s); err != nil {
			return err
		}
	}
	return nil
}

// signalledTable prints counts as a table, or as JSON lines.
type signalledTable struct {
	w    *tabwriter.Writer
	json *json.Encoder // nil: a table
	rows int
}

func newSignalledTable(out io.Writer, asJSON bool) *signalledTable {
	t := &signalledTable{w: tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)}
	if asJSON {
		t.json = json.NewEncoder(out)
	}
	return t
}

func (t *signalledTable) row(s *signalled) error {
	if t.json != nil {
		return t.json.Encode(s)
	}
	if t.rows%rowsAligned == 0 {
		_ = t.w.Flush()
		fmt.Fprintln(t.w, "DEVICE\tCLIENT\tHOME\tAPPLICATION\tCOMMAND\tRESULT\tREQUESTS\tIN\tOUT\tFROM\tTO")
	}
	t.rows++
	device := ""
	if s.Device != (accounting.Key{}) {
		device = hex.EncodeToString(s.Device[:])
	}
	_, err := fmt.Fprintf(t.w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\n", dash(device), s.Client, dash(shown(s.Home)), shown(s.Application),
		shown(s.Command), shown(s.Result), s.Requests, s.In, s.Out, s.Start.UTC().Format(time.RFC3339), s.End.UTC().Format(time.RFC3339))
	return err
}
