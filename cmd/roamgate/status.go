package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm/file"
)

// part is one thing that must work.
type part struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

// homeStatus is one home server for one kind of request.
type homeStatus struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Address string `json:"address"`
	State   string `json:"state"`
	Cause   string `json:"cause,omitempty"`
}

// status is what /status and `roamgate status` say.
type status struct {
	Ready      bool         `json:"ready"`
	Version    string       `json:"version"`
	Started    time.Time    `json:"started"`
	Generation uint64       `json:"generation"`
	Hash       string       `json:"hash"`
	Listen     []string     `json:"listen"`
	Clients    int          `json:"clients"`
	Realms     int          `json:"realms"`
	Parts      []part       `json:"parts"`
	Homes      []homeStatus `json:"homes"`

	Requests map[string]uint64 `json:"requests"`
	Results  map[string]uint64 `json:"results"`
	Local    map[string]uint64 `json:"local_answers"`
	Records  recordStatus      `json:"records"`
}

type recordStatus struct {
	Last      uint64 `json:"last"`      // sequence number of the newest durable record
	Delivered uint64 `json:"delivered"` // the queue has everything up to here
}

func (s *server) status() status {
	snap := s.hub.Snapshot()
	st := status{
		Ready: true, Version: version(), Started: s.started, Generation: snap.Generation,
		Hash: fmt.Sprintf("%x", snap.Set.Hash[:8]), Listen: s.fronts(),
		Clients: len(snap.Set.Clients), Realms: len(snap.Set.Routes),
		Records: recordStatus{s.spool.Last(), s.queue.Stats().Cursor.Load()},
	}
	st.Requests = s.sum("roamgate_requests_total", "kind")
	st.Results = s.sum("roamgate_responses_total", "result")
	st.Local = s.sum("roamgate_local_answers_total", "reason")
	for _, hm := range snap.Homes.Homes() {
		for _, k := range []home.Kind{home.Auth, home.Acct} {
			if !hm.Has(k) {
				continue
			}
			h, cause := hm.Health(k)
			st.Homes = append(st.Homes, homeStatus{hm.Spec.Name, k.String(), hm.Addr[k].AddrPort().String(), h.String(), cause.String()})
		}
	}
	st.Parts = s.parts()
	for _, p := range st.Parts {
		st.Ready = st.Ready && p.OK
	}
	return st
}

// sum adds a family up over all labels but one.
func (s *server) sum(family, label string) map[string]uint64 {
	m := make(map[string]uint64)
	s.stats.Each(func(name string, labels []string, _ stat.Kind, v float64) {
		if name != family {
			return
		}
		for i := 0; i+1 < len(labels); i += 2 {
			if labels[i] == label && v > 0 {
				m[labels[i+1]] += uint64(v)
			}
		}
	})
	return m
}

// parts says of each part whether it works.
func (s *server) parts() []part {
	ps := []part{{"hub", true, "carrying traffic"}}
	state := s.spool.State()
	ps = append(ps, part{"spool", state == spool.Ready, state.String()})
	files := part{"routing files", true, "as on disk"}
	if w := s.watch.Status(); w.Result == file.Failed {
		files.Text = fmt.Sprintf("the version of %s has %d mistakes: an older one is in use", w.Attempt.Format(time.RFC3339), w.Errors)
	}
	ps = append(ps, files)
	if s.conf.Redis.Address != "" {
		text := "reached"
		if !s.policy.RedisUp() {
			text = "away: known devices go on, records wait in the spool"
		}
		ps = append(ps, part{"redis", true, text})
	}
	return ps
}

func statusCommand() *cobra.Command {
	var at hubAddress
	var asJSON bool
	c := &cobra.Command{
		Use:     "status",
		Short:   "Say how the running hub is",
		Long:    "Say how the running hub is. Exit code 0: everything works; 1: something does not.",
		Example: "  roamgate status\n  roamgate status --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var st status
			if err := at.get(cmd.Context(), "/status", &st); err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				if err := e.Encode(st); err != nil {
					return err
				}
			} else {
				writeStatus(cmd.OutOrStdout(), &st)
			}
			if !st.Ready {
				return &exitError{code: exitProblem}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	at.flag(c)
	return c
}

func writeStatus(out io.Writer, st *status) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	defer func() { _ = w.Flush() }()
	word := map[bool]string{true: "ready", false: "NOT READY"}[st.Ready]
	fmt.Fprintf(w, "roamgate %s %s since %s, configuration %d (%s), %d clients, %d realms\n",
		st.Version, word, st.Started.Format(time.RFC3339), st.Generation, st.Hash, st.Clients, st.Realms)
	for _, l := range st.Listen {
		fmt.Fprintf(w, "listens\t%s\n", l)
	}
	for _, p := range st.Parts {
		mark := "ok"
		if !p.OK {
			mark = "FAIL"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", p.Name, mark, p.Text)
	}
	for _, h := range st.Homes {
		fmt.Fprintf(w, "home %s\t%s\t%s\t%s %s\n", h.Name, h.Kind, h.Address, h.State, h.Cause)
	}
	fmt.Fprintf(w, "records\tdurable up to %d, delivered up to %d\n", st.Records.Last, st.Records.Delivered)
}
