package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
	"github.com/roamgate/roamgate/realm/history"
)

// What of realm/history the running hub uses: who takes routing files into
// use, and the part of the administration port that asks for it.

func (c *config) change() history.Options {
	return history.Options{
		History: c.path(c.Routing.History), Dir: c.path(c.Routing.Directory),
		Env: os.LookupEnv, Manual: c.Routing.Apply == applyManual,
	}
}

// begin chooses the version to start with.
func (c *config) begin(now time.Time) (*history.Beginning, file.Problems) {
	b, err := history.Begin(c.change(), now)
	if err != nil {
		return &history.Beginning{}, file.Problems{{Pos: c.doc.Pos("routing"), Severity: file.Error, Text: err.Error()}}
	}
	return b, b.Problems
}

func (s *server) openHistory(l *loaded) error {
	c, o := s.conf, s.conf.change()
	if l.begin == nil {
		l.begin, _ = c.begin(time.Now())
	}
	store, err := history.Open(o.History, c.Routing.Keep)
	if err != nil {
		return problem("%v (routing.history must be a directory of this hub that its user may write to)", err)
	}
	s.closers = append(s.closers, func() { _ = store.Close() })
	for _, d := range store.Log().Damaged {
		s.log.Warn("a part of the history cannot be read", zap.String("path", d.Path), zap.String("problem", d.Text))
	}
	o.Store, o.Use, o.Tally, o.Left = store, s.use, s.tally, s.left
	s.control, err = history.New(o, l.begin, time.Now())
	return err
}

// use makes a version the hub's.
func (s *server) use(set *realm.Set, e *history.Entry) error {
	if ps := compiles(set); ps.Failed() {
		return ps
	}
	if err := s.takeCertificates(s.hub.Snapshot().Set, set, func() error { return s.apply(set) }); err != nil {
		return err
	}
	giveBack()
	s.log.Info("routing files taken over", zap.Uint64("generation", s.hub.Snapshot().Generation),
		zap.Stringer("hash", e.Hash), zap.String("how", string(e.How)), zap.String("who", e.Who), zap.String("change", e.Change))
	return nil
}

// apply gives both walks the same configuration.
func (s *server) apply(set *realm.Set) error {
	if s.agent != nil {
		if err := s.agent.Check(set); err != nil {
			return err
		}
	}
	if err := s.hub.Apply(set); err != nil || s.agent == nil {
		return err
	}
	s.gateway.Apply(set)
	return s.agent.Apply(set)
}

// tally counts answers by client, for guards.
func (s *server) tally() history.Tally {
	t := history.Tally{}
	s.stats.EachOf("roamgate_responses_total", func(labels []string, v float64) {
		var client, kind, result string
		for i := 0; i+1 < len(labels); i += 2 {
			switch labels[i] {
			case "client":
				client = labels[i+1]
			case "kind":
				kind = labels[i+1]
			case "result":
				result = labels[i+1]
			}
		}
		if kind != "auth" || result == "challenge" {
			return
		}
		c := t[client]
		c.Answers += uint64(v)
		if result == "accept" {
			c.Accepts += uint64(v)
		}
		t[client] = c
	})
	return t
}

func (s *server) left(why string, err error) {
	if why != "" {
		s.log.Error("routing files were left", zap.String("why", why), zap.Error(err))
		return
	}
	s.log.Error("the history of routing files", zap.Error(err))
}

func (s *server) found(set *realm.Set, change file.Change, files file.Texts) (bool, error) {
	return s.control.Found(set, change, files, time.Now())
}

// keepTime lets trials end.
func (s *server) keepTime(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			s.control.Tick(now)
		}
	}
}

func (s *server) historySeries() {
	r := s.stats
	is := func(f func(*history.State) bool) func() float64 {
		return func() float64 {
			if st := s.control.State(); f(&st) {
				return 1
			}
			return 0
		}
	}
	const pending = "What somebody has to decide: 1 where good routing files are not in use (files), and where what is in use will be left unless it is confirmed (confirmation)."
	r.GaugeFunc("roamgate_config_pending", pending, is(func(st *history.State) bool { return st.Waiting }), "what", "files")
	r.GaugeFunc("roamgate_config_pending", pending, is(func(st *history.State) bool { return st.Trial.On() && !st.Trial.Until.IsZero() }), "what", "confirmation")
	for c := range history.Causes {
		r.CounterFunc("roamgate_config_rollbacks_total", "Versions of the routing files that were left for an older one: by command, since nobody confirmed them, or since fewer requests were accepted.",
			func() float64 { st := s.control.State(); return float64(st.Back[c]) }, "reason", c.String())
	}
}

// filesText says how the routing files and what runs differ.
func filesText(st *history.State) part {
	p := part{Name: "routing files", OK: true, Text: "as on disk"}
	switch {
	case st.Held:
		p.OK, p.Text = false, fmt.Sprintf("version %s is in use: the files on disk (%s) were left", st.Hash, st.Disk)
	case st.Waiting && st.Disk == st.Hash:
		p.OK, p.Text = false, "as on disk, but secrets have changed and wait for roamgate apply"
	case st.Waiting:
		p.OK, p.Text = false, fmt.Sprintf("version %s is in use: the files on disk (%s) wait for roamgate apply", st.Hash, st.Disk)
	}
	if st.Why != "" && st.Waiting {
		p.Text += ": " + st.Why
	}
	return p
}

// historyParts are there only where there is something to say.
func (s *server) historyParts() (ps []part) {
	st := s.control.State()
	if t := st.Trial; t.On() {
		p := part{Name: "trial", OK: true}
		switch {
		case t.Until.IsZero():
			p.Text = fmt.Sprintf("version %s is watched until %s", st.Hash, t.Watched.Format(time.RFC3339))
		default:
			p.OK = false
			p.Text = fmt.Sprintf("version %s is left for %s at %s unless it is confirmed", st.Hash, t.Base, t.Until.Format(time.RFC3339))
		}
		if t.Guard > 0 {
			p.Text += fmt.Sprintf(", or when accepts fall by %d %%", t.Guard)
		}
		ps = append(ps, p)
	}
	if st.Failed != "" {
		ps = append(ps, part{Name: "history", Text: st.Failed})
	}
	return ps
}

// changeTime bounds a command: a million routes are read in some seconds.
const changeTime = 2 * time.Minute

// changeAnswer is the answer to a command.
type changeAnswer struct {
	history.Outcome
	Problems []problemRow `json:"problems,omitempty"`
}

// problemRow is a file.Problem in JSON.
type problemRow struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"`
	Text     string `json:"text"`
	Hint     string `json:"hint,omitempty"`
}

func problemRows(ps file.Problems) (rows []problemRow) {
	for _, p := range ps {
		rows = append(rows, problemRow{p.Pos.File, p.Pos.Line, p.Pos.Col, p.Severity.String(), p.Text, p.Hint})
	}
	return rows
}

// String is the line that check prints.
func (r problemRow) String() string {
	p := file.Problem{Pos: realm.Pos{File: r.File, Line: r.Line, Col: r.Column}, Text: r.Text, Hint: r.Hint, Severity: file.Error}
	for _, s := range []file.Severity{file.Info, file.Warning} {
		if s.String() == r.Severity {
			p.Severity = s
		}
	}
	return p.String()
}

// applyOrder is the body of POST /apply.
type applyOrder struct {
	Who     string   `json:"who,omitempty"`
	Comment string   `json:"comment,omitempty"`
	Confirm duration `json:"confirm,omitempty"` // such as "5m"
	Guard   int      `json:"guard,omitempty"`   // percent
	Expect  string   `json:"expect,omitempty"`
}

// duration is written as in the files.
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = duration(v)
	return err
}

// backOrder is the body of POST /rollback and /confirm.
type backOrder struct {
	To      string `json:"to,omitempty"`
	Who     string `json:"who,omitempty"`
	Comment string `json:"comment,omitempty"`
}

func (s *server) handleChange(mux *http.ServeMux) {
	mux.HandleFunc("GET /history", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, historyOf(s.control.Log(), s.control.State()))
	})
	mux.HandleFunc("GET /diff", s.diffJSON)
	mux.HandleFunc("POST /plan", s.planJSON)
	mux.HandleFunc("POST /apply", func(w http.ResponseWriter, r *http.Request) {
		var o applyOrder
		s.change(w, r, "apply", &o, func(ctx context.Context) (history.Outcome, error) {
			return s.control.Apply(ctx, history.Order{Who: o.Who, Comment: o.Comment, Confirm: time.Duration(o.Confirm), Guard: o.Guard, Expect: o.Expect}, time.Now())
		})
	})
	mux.HandleFunc("POST /confirm", func(w http.ResponseWriter, r *http.Request) {
		var o backOrder
		s.change(w, r, "confirm", &o, func(context.Context) (history.Outcome, error) {
			return s.control.Confirm(o.Who, o.Comment, time.Now())
		})
	})
	mux.HandleFunc("POST /rollback", func(w http.ResponseWriter, r *http.Request) {
		var o backOrder
		s.change(w, r, "rollback", &o, func(context.Context) (history.Outcome, error) {
			return s.control.Rollback(o.To, o.Who, o.Comment, time.Now())
		})
	})
}

// change carries out a command and writes who asked for it to the log.
func (s *server) change(w http.ResponseWriter, r *http.Request, name string, order any, do func(context.Context) (history.Outcome, error)) {
	if code, err := readCommand(w, r, order); err != nil {
		http.Error(w, err.Error(), code)
		return
	}
	ctx, stop := context.WithTimeout(r.Context(), changeTime)
	defer stop()
	out, err := do(ctx)
	s.log.Warn("command for the routing files", zap.String("command", name), zap.String("from", r.RemoteAddr),
		zap.Any("order", order), zap.String("result", out.Result), zap.Error(err))
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	writeJSON(w, changeAnswer{out, problemRows(out.Problems)})
}
