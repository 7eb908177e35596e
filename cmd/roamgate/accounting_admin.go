package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa"
)

const (
	// commandHeader is on every request that changes something. A browser
	// sends it to another site only after asking, and is told nothing.
	commandHeader = "Roamgate-Command"
	commandBody   = 64 << 10
	commandTime   = 5 * time.Second // then the rest is left to the next request
	mostSeqs      = 1000
	mostGroups    = 1000
	mostGrouped   = 200_000 // records looked at for the summary
)

// trusted refuses what a browser sends under a name that somebody else has
// pointed at this address: the port is asked by address or from this host.
func trusted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !trustedHost(r.Host) {
			http.Error(w, "ask the administration port by its address, not by a name", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// trustedHost: none, as of old clients, an address, or a name of loopback.
func trustedHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "" || strings.EqualFold(host, "localhost")
}

// waitingGroup counts the records of one realm that have one reason.
type waitingGroup struct {
	Realm   string `json:"realm"`
	Reason  string `json:"reason"` // "owed", or of dead letters
	Records int    `json:"records"`
	Oldest  int64  `json:"oldest"` // arrival, Unix seconds
}

// waitingSummary is what GET /accounting says.
type waitingSummary struct {
	Owed    uint64         `json:"owed"`
	Dead    uint64         `json:"dead"`
	Groups  []waitingGroup `json:"groups"`
	Partial bool           `json:"partial,omitempty"` // Groups are those of the oldest records only
}

const otherRealms = "(other realms)"

func (s *server) accountingJSON(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("records") {
		s.waitingJSON(w, r)
		return
	}
	st := s.spool.Stats()
	sum := waitingSummary{Owed: st.Pending, Dead: st.Dead, Groups: []waitingGroup{}}
	at := map[[2]string]int{}
	n := 0
	err := s.hub.EachWaiting(0, 0, func(rec aaa.Waiting) bool {
		if rec.Reason == "" {
			rec.Reason = "owed"
		}
		name := [2]string{rec.Realm, rec.Reason}
		if _, known := at[name]; !known && len(at) >= mostGroups {
			name[0] = otherRealms
		}
		i, known := at[name]
		if !known {
			i = len(sum.Groups)
			at[name] = i
			sum.Groups = append(sum.Groups, waitingGroup{Realm: name[0], Reason: name[1], Oldest: rec.Time})
		}
		g := &sum.Groups[i]
		g.Records++
		g.Oldest = min(g.Oldest, rec.Time)
		n++
		sum.Partial = n == mostGrouped
		return n < mostGrouped && r.Context().Err() == nil
	})
	if err != nil {
		http.Error(w, "reading the spool: "+err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, sum)
}

// waitingJSON lists the records, a line each.
func (s *server) waitingJSON(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var from [2]uint64
	for i, name := range []string{"owed_from", "dead_from"} {
		if v := q.Get(name); v != "" {
			n, err := strconv.ParseUint(v, 10, 64)
			if err != nil {
				http.Error(w, name+": not a sequence number", http.StatusBadRequest)
				return
			}
			from[i] = n
		}
	}
	w.Header().Set("Content-Type", "application/jsonl")
	e, n := json.NewEncoder(w), 0
	err := s.hub.EachWaiting(from[0], from[1], func(rec aaa.Waiting) bool {
		n++
		return e.Encode(rec) == nil && n < maxRecords
	})
	if err != nil {
		http.Error(w, "reading the spool: "+err.Error(), http.StatusInternalServerError)
	}
}

// commandResult is the answer to a command.
type commandResult struct {
	Records int  `json:"records"`
	Busy    int  `json:"busy,omitempty"` // left, as they were on their way
	More    bool `json:"more,omitempty"` // time was up: ask again
}

func (s *server) retryJSON(w http.ResponseWriter, r *http.Request) {
	s.command(w, r, "retry", func(ctx context.Context, sel aaa.Selection) (res commandResult, err error) {
		if sel.Owed {
			return res, errors.New("owed: what is owed is tried by itself")
		}
		res.Records, err = s.hub.Revive(ctx, sel)
		return res, err
	})
}

func (s *server) dropJSON(w http.ResponseWriter, r *http.Request) {
	s.command(w, r, "drop", func(ctx context.Context, sel aaa.Selection) (res commandResult, err error) {
		res.Records, res.Busy, err = s.hub.Drop(ctx, sel)
		return res, err
	})
}

// command carries out what the body selects and writes who did it to the log.
func (s *server) command(w http.ResponseWriter, r *http.Request, name string, do func(context.Context, aaa.Selection) (commandResult, error)) {
	sel, code, err := readSelection(w, r)
	if err != nil {
		http.Error(w, err.Error(), code)
		return
	}
	ctx, stop := context.WithTimeout(r.Context(), commandTime)
	defer stop()
	res, err := do(ctx, sel)
	res.More = errors.Is(err, context.DeadlineExceeded) && res.Records > 0
	s.log.Warn("command for records that wait for their home", zap.String("command", name), zap.String("from", r.RemoteAddr),
		zap.Any("selection", sel), zap.Int("records", res.Records), zap.Error(err))
	switch {
	case err == nil, res.More:
		writeJSON(w, res)
	case errors.Is(err, context.DeadlineExceeded):
		http.Error(w, "the hub is busy, or cannot use its spool: try again", http.StatusServiceUnavailable)
	default:
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func readSelection(w http.ResponseWriter, r *http.Request) (sel aaa.Selection, code int, err error) {
	if code, err := readCommand(w, r, &sel); err != nil {
		return sel, code, err
	}
	if len(sel.Seqs) > mostSeqs {
		return sel, http.StatusBadRequest, fmt.Errorf("at most %d numbers at once", mostSeqs)
	}
	return sel, 0, nil
}

// readCommand reads the body of a request that changes something; code is
// that of the answer after an error.
func readCommand(w http.ResponseWriter, r *http.Request, into any) (code int, err error) {
	if r.Header.Get(commandHeader) != "1" {
		return http.StatusForbidden, errors.New("the header " + commandHeader + ": 1 is missing")
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return http.StatusUnsupportedMediaType, errors.New("the body must be application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, commandBody))
	d.DisallowUnknownFields()
	err = d.Decode(into)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge, fmt.Errorf("the body is longer than %d octets", commandBody)
	case err != nil:
		return http.StatusBadRequest, fmt.Errorf("reading the body: %w", err)
	case d.More():
		return http.StatusBadRequest, errors.New("the body goes on behind its object")
	}
	return 0, nil
}

// eachWaiting asks the hub for all records that wait.
func (h *hubAddress) eachWaiting(ctx context.Context, f func(rec aaa.Waiting) error) error {
	owed, dead := uint64(0), uint64(0)
	for {
		got, err := h.waitingPage(ctx, owed, dead, func(rec aaa.Waiting) error {
			if rec.Reason == "" {
				owed = rec.Seq + 1
			} else {
				owed, dead = math.MaxUint64, rec.Seq+1
			}
			return f(rec)
		})
		if err != nil || got < maxRecords {
			return err
		}
	}
}

func (h *hubAddress) waitingPage(ctx context.Context, owed, dead uint64, f func(rec aaa.Waiting) error) (got int, err error) {
	body, err := h.open(ctx, fmt.Sprintf("/accounting?records&owed_from=%d&dead_from=%d", owed, dead))
	if err != nil {
		return 0, err
	}
	defer func() { _ = body.Close() }()
	for d := json.NewDecoder(body); ; got++ {
		var rec aaa.Waiting
		if err := d.Decode(&rec); errors.Is(err, io.EOF) {
			return got, nil
		} else if err != nil {
			return got, problem("reading the hub's answer: %v", err)
		}
		if err := f(rec); err != nil {
			return got, err
		}
	}
}
