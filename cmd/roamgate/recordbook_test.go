package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/accounting/usage"
)

// A process that ends while it answers has not said all: what was read must
// not pass for a whole export.
func TestAnswerThatBreaksOff(t *testing.T) {
	for _, tt := range []struct {
		name   string
		broken bool
	}{{"whole", false}, {"broken off between two records", true}} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_ = json.NewEncoder(w).Encode(numbered{1, &usage.Record{}})
				_ = http.NewResponseController(w).Flush()
				if tt.broken {
					panic(http.ErrAbortHandler)
				}
			}))
			defer srv.Close()
			n := 0
			book := hubBook{&hubAddress{addr: strings.TrimPrefix(srv.URL, "http://")}}
			err := book.records(context.Background(), recordQuery{}, func(uint64, *usage.Record) error { n++; return nil })
			assert.Equal(t, 1, n)
			assert.Equal(t, tt.broken, err != nil, "%v", err)
		})
	}
}
