package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A browser that somebody has led here under a name of theirs gets nothing.
func TestAdminHost(t *testing.T) {
	for host, want := range map[string]int{
		"127.0.0.1:1817": 200, "[::1]:1817": 200, "192.0.2.7": 200, "localhost:1817": 200, "LOCALHOST": 200, "": 200,
		"evil.example": 421, "evil.example:1817": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example:1817": 421, "[evil": 421,
	} {
		t.Run(host, func(t *testing.T) {
			w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/livez", nil)
			r.Host = host
			trusted(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })).ServeHTTP(w, r)
			assert.Equal(t, want, w.Code)
		})
	}
}

// What changes something is asked for on purpose, in a small body of the form
// that is documented.
func TestCommandRefusals(t *testing.T) {
	for _, tt := range []struct {
		name, header, media, body string
		want                      int
	}{
		{"as it should be", "1", "application/json", `{"realm":"a.example","seqs":[1]}`, 0},
		{"no header", "", "application/json", `{"all":true}`, 403},
		{"another header", "0", "application/json", `{"all":true}`, 403},
		{"a form", "1", "application/x-www-form-urlencoded", `{"all":true}`, 415},
		{"plain text, as a browser sends unasked", "1", "text/plain", `{"all":true}`, 415},
		{"no type", "1", "", `{"all":true}`, 415},
		{"no JSON", "1", "application/json", `all`, 400},
		{"nothing", "1", "application/json", ``, 400},
		{"an unknown field", "1", "application/json", `{"al":true}`, 400},
		{"two objects", "1", "application/json", `{"all":true}{"all":true}`, 400},
		{"too many numbers", "1", "application/json", `{"seqs":[` + strings.Repeat("1,", mostSeqs) + `1]}`, 400},
		{"too long", "1", "application/json", `{"realm":"` + strings.Repeat("a", commandBody) + `"}`, 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/accounting/drop", strings.NewReader(tt.body))
			r.Header.Set(commandHeader, tt.header)
			r.Header.Set("Content-Type", tt.media)
			sel, code, err := readSelection(httptest.NewRecorder(), r)
			assert.Equal(t, tt.want, code)
			if tt.want != 0 {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "a.example", sel.Realm)
		})
	}
}

// TestAccounting: a record that its home does not take is shown, and dropped
// when that is confirmed.
func TestAccounting(t *testing.T) {
	h := start(t, "")
	assert.Equal(t, "0 records owed, 0 records dead\n", ok(t, "accounting", "show", "--admin", h.admin.String()))
	h.acctHome.Mute(1 << 20)
	require.Zero(t, h.stop("alice@acme.example", "s1").code)
	r := h.ask("accounting show")
	assert.Zero(t, r.code)
	assert.Regexp(t, `(?m)^1 record owed, 0 records dead$`, r.out)
	assert.Regexp(t, `(?m)^acme.example +owed +1 +\d{4}-`, r.out)
	assert.Regexp(t, `(?m)^1 +\S+ +acme.example +owed +s1$`, h.ask("accounting show --records").out)
	assert.Equal(t, "0 records owed again\n", h.ask("accounting retry --all").out)
	none := h.ask("accounting retry 999999")
	assert.Equal(t, exitProblem, none.code, "it was named, and is not there")
	assert.Contains(t, none.errs, "none of these records waits")

	r = h.ask("accounting drop --all --owed")
	assert.Equal(t, exitProblem, r.code)
	assert.Contains(t, r.errs, "nothing was dropped")
	assert.Equal(t, exitUsage, h.ask("accounting drop --yes").code)
	assert.Equal(t, exitUsage, h.ask("accounting retry x").code)
	h.eventually("it can be dropped", func() bool {
		return h.ask("accounting drop --all --owed --yes").out == "1 record dropped\n"
	})
	assert.Regexp(t, `(?m)^0 records owed, 1 record dead$`, h.ask("accounting show").out)
	assert.Regexp(t, `(?m)^1 +\S+ +acme.example +dropped +s1$`, h.ask("accounting show --records").out)
	assert.Equal(t, "0 records owed again\n", h.ask("accounting retry --all").out)
	assert.Contains(t, h.Output(), `"command":"drop"`)
	h.page(405, "/accounting/drop")
}
