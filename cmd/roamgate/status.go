package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/aaa"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/accounting/usage"
	"github.com/roamgate/roamgate/realm/file"
)

// part is one thing that should work. Without one that is needed the hub is
// not ready.
type part struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Needed bool   `json:"needed"`
	Text   string `json:"text"`
}

func (p *part) mark() string {
	switch {
	case p.OK:
		return "ok"
	case p.Needed:
		return "FAIL"
	}
	return "warn"
}

// status is what /status and `roamgate status` say.
type status struct {
	Ready      bool             `json:"ready"`
	Version    string           `json:"version"`
	Started    time.Time        `json:"started"`
	Generation uint64           `json:"generation"`
	Hash       string           `json:"hash"`
	Listen     []string         `json:"listen"`
	Clients    int              `json:"clients"`
	Realms     int              `json:"realms"`
	Parts      []part           `json:"parts"`
	Homes      []aaa.HomeReport `json:"homes"`

	Requests map[string]uint64 `json:"requests"`
	Results  map[string]uint64 `json:"results"`
	Local    map[string]uint64 `json:"local_answers"`
	Records  recordStatus      `json:"records"`
	Usage    *usageStatus      `json:"usage,omitempty"` // where the hub has the clearing store
}

type recordStatus struct {
	Last      uint64 `json:"last"`      // sequence number of the newest durable record
	Delivered uint64 `json:"delivered"` // the queue has everything up to here
}

// usageStatus is what the records have come to.
type usageStatus struct {
	Reports int64            `json:"reports"` // taken from the spool
	Classes map[string]int64 `json:"classes"` // of those; they add up
	Records map[string]int64 `json:"records"` // usage records by status
}

func (s *server) usage() *usageStatus {
	if s.clearing == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	st, err := s.clearing.Stats(ctx)
	if err != nil {
		return nil
	}
	u := &usageStatus{Reports: st.Reports, Classes: map[string]int64{}, Records: map[string]int64{}}
	for c, n := range st.Classes {
		u.Classes[usage.Class(c).String()] = n
	}
	for status, n := range st.Records {
		u.Records[string(status)] = n
	}
	return u
}

func (s *server) status() status {
	snap := s.hub.Snapshot()
	st := status{
		Ready: true, Version: versionText(), Started: s.started, Generation: snap.Generation,
		Hash: fmt.Sprintf("%x", snap.Set.Hash[:8]), Listen: s.fronts(),
		Clients: len(snap.Set.Clients), Realms: len(snap.Set.Routes),
		Records: recordStatus{s.spool.Last(), s.queue.Stats().Cursor.Load()},
	}
	st.Requests = s.sum("roamgate_requests_total", "kind")
	st.Results = s.sum("roamgate_responses_total", "result")
	st.Local = s.sum("roamgate_local_answers_total", "reason")
	st.Homes = s.hub.HomeReports()
	st.Usage = s.usage()
	st.Parts = s.parts(st.Homes)
	for _, p := range st.Parts {
		st.Ready = st.Ready && (p.OK || !p.Needed)
	}
	return st
}

// sum adds a family up over all labels but one.
func (s *server) sum(family, label string) map[string]uint64 {
	m := make(map[string]uint64)
	s.stats.EachOf(family, func(labels []string, v float64) {
		for i := 0; i+1 < len(labels); i += 2 {
			if labels[i] == label && v > 0 {
				m[labels[i+1]] += uint64(v)
			}
		}
	})
	return m
}

// parts says of each part whether it works.
func (s *server) parts(homes []aaa.HomeReport) []part {
	state := s.spool.State()
	ps := []part{
		{"hub", true, true, "carrying traffic"},
		{"spool", state == spool.Ready, true, state.String()},
		s.filesPart(), homesPart(homes), s.queuePart(),
	}
	if s.agent != nil {
		ps = append(ps, peersPart(s.agent.Peers()))
	}
	ps = append(ps, s.historyParts()...)
	ps = append(ps, certificatesPart(s.hub.Snapshot().Set, time.Now())...)
	if s.conf.Redis.Address != "" {
		p := part{Name: "redis", OK: s.policy.RedisUp(), Text: "reached"}
		if !p.OK {
			p.Text = "away: known devices go on, unknown ones by the rule of their realm"
		}
		ps = append(ps, p)
	}
	return ps
}

func (s *server) filesPart() part {
	w, st := s.watch.Status(), s.control.State()
	if w.Result != file.Failed {
		return filesText(&st)
	}
	return part{Name: "routing files", Text: fmt.Sprintf("refused at %s with %s: an older version is in use",
		w.Attempt.Format(time.RFC3339), count(w.Errors, "error"))}
}

// homesPart leaves out what an operator has disabled.
func homesPart(homes []aaa.HomeReport) part {
	var down []string
	up := make(map[[2]string]bool) // a home with several addresses is as well as the best
	for _, h := range homes {
		if h.State != home.Down.String() {
			up[[2]string{h.Name, h.Kind}] = true
		}
	}
	for _, h := range homes {
		if at := [2]string{h.Name, h.Kind}; !up[at] && h.Cause != home.Disabled.String() {
			down = append(down, h.Name+" ("+h.Kind+")")
			up[at] = true
		}
	}
	if len(down) == 0 {
		return part{Name: "homes", OK: true, Text: "none is down"}
	}
	return part{Name: "homes", Text: "down: " + strings.Join(down, ", ")}
}

func (s *server) queuePart() part {
	st, lag := s.queue.Stats(), s.queue.Lag()
	switch {
	case st.Up.Load():
		return part{Name: "queue", OK: true, Text: count(int(lag), "record") + " behind"}
	case st.Alarms.Load() > 0:
		return part{Name: "queue", Text: "holds other content under our id, nothing is drained: the log says more"}
	}
	return part{Name: "queue", Text: "away: " + count(int(lag), "record") + " behind, kept in the spool"}
}

func statusCommand() *cobra.Command {
	var at hubAddress
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Say how the running hub is",
		Long: `Say how the running hub is. Exit code 0: everything works; 1: something does
not, such as a home that is down or routing files that were refused; 3: the hub
does not answer. A part marked FAIL is one without which the hub is not ready.`,
		Example: "  roamgate status\n  roamgate status --json",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var st status
			if err := at.get(cmd.Context(), "/status", &st); err != nil {
				return err
			}
			if asJSON {
				if err := indented(cmd.OutOrStdout(), st); err != nil {
					return err
				}
			} else {
				writeStatus(cmd.OutOrStdout(), &st)
			}
			for _, p := range st.Parts {
				if !p.OK {
					return &exitError{code: exitProblem}
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	at.flag(c)
	c.AddCommand(statusPeersCommand())
	return c
}

func writeStatus(out io.Writer, st *status) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	defer func() { _ = w.Flush() }()
	word := map[bool]string{true: "ready", false: "NOT READY"}[st.Ready]
	fmt.Fprintf(w, "roamgate %s %s since %s, configuration %d (%s), %s, %s\n",
		st.Version, word, st.Started.Format(time.RFC3339), st.Generation, st.Hash, count(st.Clients, "client"), count(st.Realms, "realm"))
	for _, l := range st.Listen {
		fmt.Fprintf(w, "listens\t%s\n", l)
	}
	for _, p := range st.Parts {
		fmt.Fprintf(w, "%s\t%s\t%s\n", p.Name, p.mark(), p.Text)
	}
	for _, h := range st.Homes {
		fmt.Fprintf(w, "home %s\t%s\t%s\t%s\n", h.Name, h.Kind, dash(cmp.Or(h.Address, h.Host)), homeState(&h))
	}
	fmt.Fprintf(w, "records\tdurable up to %d, delivered up to %d\n", st.Records.Last, st.Records.Delivered)
	if u := st.Usage; u != nil {
		fmt.Fprintf(w, "usage\t%s: %d final, %d partial, %d estimated, %d corrections\n", count(int(u.Reports), "report"),
			u.Records["final"], u.Records["partial"], u.Records["estimated"], u.Records["correction"])
	}
}
