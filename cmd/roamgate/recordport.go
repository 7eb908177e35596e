package main

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/clearing"
	"github.com/roamgate/roamgate/accounting/usage"
)

// recordPort is the part of an administration port that shows the clearing
// store of its process.
type recordPort struct{ book storeBook }

func (p recordPort) handle(mux *http.ServeMux) {
	mux.HandleFunc("GET /usage", p.records)
	mux.HandleFunc("GET /usage/account", p.account)
	mux.HandleFunc("GET /usage/sums", p.sums)
	mux.HandleFunc("GET /usage/dead", p.dead)
}

func (p recordPort) records(w http.ResponseWriter, r *http.Request) {
	q, err := queryOf(r.URL.Query())
	if err == nil {
		_, err = q.filter()
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	// The first record that passes may be far: who asks must not take us for
	// silent until then.
	_ = http.NewResponseController(w).Flush()
	e := json.NewEncoder(w)
	if err := p.book.records(r.Context(), q, func(order uint64, rec *usage.Record) error {
		return e.Encode(numbered{order, rec})
	}); err != nil {
		fmt.Fprintf(w, "reading the clearing store: %v\n", err) // no JSON: the reader knows that it is not the end
	}
}

func (p recordPort) account(w http.ResponseWriter, r *http.Request) {
	var key accounting.Key
	if err := key.UnmarshalText([]byte(r.URL.Query().Get("key"))); err != nil {
		http.Error(w, "key: "+err.Error(), http.StatusBadRequest)
		return
	}
	a, err := p.book.account(r.Context(), key)
	p.answer(w, a, err)
}

func (p recordPort) sums(w http.ResponseWriter, r *http.Request) {
	s, err := p.book.sums(r.Context())
	p.answer(w, s, err)
}

func (p recordPort) dead(w http.ResponseWriter, r *http.Request) {
	q, err := queryOf(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	letters, err := p.book.letters(r.Context(), q.after, q.limit)
	if letters == nil {
		letters = []clearing.DeadLetter{}
	}
	p.answer(w, letters, err)
}

func (p recordPort) answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		http.Error(w, "reading the clearing store: "+err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, v)
}
