package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/roamgate/roamgate/aaa"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/pkg/stat"
)

// The administration port changes nothing but what becomes of records that
// wait for their home (accounting_admin.go), which version of the routing
// files is in use (change.go), and what homes are used for (homes.go).
func (s *server) adminHandler() http.Handler {
	mux := adminMux(s.stats)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /status", s.statusJSON)
	mux.HandleFunc("GET /explain", s.explainJSON)
	mux.HandleFunc("GET /explain/diameter", s.explainDiameterJSON)
	mux.HandleFunc("GET /peers", s.peersJSON)
	mux.HandleFunc("GET /catalogue", s.catalogueJSON)
	mux.HandleFunc("GET /records", s.recordsJSON)
	if s.clearing != nil {
		recordPort{storeBook{s.clearing}}.handle(mux)
	}
	mux.HandleFunc("GET /homes", s.homesJSON)
	mux.HandleFunc("GET /connections", s.connectionsJSON)
	mux.HandleFunc("POST /homes/drain", s.useHome(home.Draining))
	mux.HandleFunc("POST /homes/disable", s.useHome(home.Off))
	mux.HandleFunc("POST /homes/enable", s.useHome(home.InUse))
	mux.HandleFunc("GET /accounting", s.accountingJSON)
	mux.HandleFunc("POST /accounting/retry", s.retryJSON)
	mux.HandleFunc("POST /accounting/drop", s.dropJSON)
	s.handleChange(mux)
	return trusted(mux)
}

// adminMux answers what every administration port does.
func adminMux(stats *stat.Registry) *http.ServeMux {
	reg := prometheus.NewRegistry()
	reg.MustRegister(stats, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	return mux
}

func (s *server) serveAdmin(ctx context.Context) error {
	return serveHTTP(ctx, s.admin, s.adminHandler())
}

// serveHTTP serves an administration port until ctx ends.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readHeaderTimeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	stopped := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stopped()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving administration: %w", err)
	}
	return nil
}

// readyz says whether the hub can do its work. A part that is not needed for
// that is shown and does not take the hub out of a balancer. Accounting that
// cannot be stored does, though authentication goes on.
func (s *server) readyz(w http.ResponseWriter, r *http.Request) {
	st := s.status()
	code := http.StatusOK
	if !st.Ready {
		code = http.StatusServiceUnavailable
	}
	w.WriteHeader(code)
	if r.URL.Query().Has("verbose") {
		for _, p := range st.Parts {
			fmt.Fprintf(w, "%-4s %s: %s\n", p.mark(), p.Name, p.Text)
		}
		return
	}
	fmt.Fprintln(w, http.StatusText(code))
}

func (s *server) statusJSON(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.status()) }

func (s *server) connectionsJSON(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, s.hub.ConnectionReports())
}

func (s *server) explainJSON(w http.ResponseWriter, r *http.Request) {
	q, err := aaa.ParseQuestion(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, s.hub.Explain(q))
}

// maxRecords bounds one answer of /records; the reader asks again from
// where it ended.
const maxRecords = 10000

func (s *server) recordsJSON(w http.ResponseWriter, r *http.Request) {
	from, limit, raw, err := recordsQuery(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	if raw && !s.conf.Privacy.Plain {
		http.Error(w, "packets hold identities: this hub shows them only with privacy.plain", http.StatusForbidden)
		return
	}
	view := s.conf.recordView(s.identity) // a Hasher belongs to one goroutine
	view.Raw = raw
	var line []byte
	err = s.spool.Read(from, func(seq uint64, b []byte) bool {
		rec, err := accounting.Decode(b)
		if err != nil {
			return true
		}
		rec.Seq = seq
		line = append(rec.AppendJSON(line[:0], view), '\n')
		_, werr := w.Write(line)
		limit--
		return werr == nil && limit > 0
	})
	if err != nil {
		http.Error(w, "reading the spool: "+err.Error(), http.StatusInternalServerError)
	}
}

func recordsQuery(r *http.Request) (from uint64, limit int, raw bool, err error) {
	q := r.URL.Query()
	limit = maxRecords
	if v := q.Get("from"); v != "" {
		if from, err = strconv.ParseUint(v, 10, 64); err != nil {
			return 0, 0, false, fmt.Errorf("from: not a sequence number")
		}
	}
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return 0, 0, false, fmt.Errorf("limit: not a number of records")
		}
		limit = min(n, maxRecords)
	}
	return from, limit, q.Has("raw"), nil
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = indented(w, v)
}

// indented writes JSON for people.
func indented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
