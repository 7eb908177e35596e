package device

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	name1 = "imsi:262011234567890"
	good1 = "1 7 - meter 20:" + name1
)

// wrongValues are what a store may hold that is no policy (hostile input
// Q001-Q005); the Redis tests use them too.
var wrongValues = []struct {
	name, value string
	why         Fault
}{
	{"empty", "", FaultEmpty},
	{"a blank", " ", FaultMalformed},
	{"schema only", "1", FaultTruncated},
	{"schema 99", "99 7 - meter 20:" + name1, FaultVersion},
	{"schema 99 of other form", `99 {"p":1}`, FaultVersion},
	{"json", `{"v":1}`, FaultMalformed},
	{"cut after version", "1 7 ", FaultTruncated},
	{"cut after flags", "1 7 -", FaultTruncated},
	{"cut in profile", "1 7 - met", FaultTruncated},
	{"cut after profile", "1 7 - meter ", FaultTruncated},
	{"cut in length", "1 7 - meter 2", FaultTruncated},
	{"cut in name", "1 7 - meter 20:imsi:26201", FaultTruncated},
	{"octets after", good1 + "x", FaultMalformed},
	{"other device", "1 7 - meter 20:imsi:262011234567891", FaultMismatch},
	{"version no number", "1 x - meter 20:" + name1, FaultMalformed},
	{"unknown flag", "1 7 z meter 20:" + name1, FaultMalformed},
	{"profile no name", "1 7 - m\x00ter 20:" + name1, FaultMalformed},
	{"length no number", "1 7 - meter x:" + name1, FaultMalformed},
	{"too large", "1 7 - meter 20:" + strings.Repeat("x", maxValue), FaultTooLarge},
}

func TestDecodeValue(t *testing.T) {
	v, _, ok := decodeValue(good1, name1)
	require.True(t, ok)
	assert.Equal(t, value{version: 7, profile: "meter"}, v)
	v, _, ok = decodeValue(string(appendValue(nil, value{9, flagBlocked, "lost"}, name1)), name1)
	require.True(t, ok)
	assert.Equal(t, value{9, flagBlocked, "lost"}, v)
	for _, tt := range wrongValues {
		t.Run(tt.name, func(t *testing.T) {
			_, why, ok := decodeValue(tt.value, name1)
			require.False(t, ok)
			assert.Equal(t, tt.why.String(), why.String())
		})
	}
	for n := range len(good1) {
		_, why, ok := decodeValue(good1[:n], name1)
		require.False(t, ok)
		require.Contains(t, []Fault{FaultTruncated, FaultEmpty}, why, "cut at %d", n)
	}
}

func TestDecodeProfile(t *testing.T) {
	good := `{"v":1,"name":"meter","countries":["DE"]}`
	_, p, _, ok := decodeProfile([]byte(good), "meter")
	require.True(t, ok)
	assert.True(t, p.countries.has("DE"))
	for _, tt := range []struct {
		name, value string
		why         Fault
	}{
		{"empty", "", FaultEmpty},
		{"cut", good[:20], FaultTruncated},
		{"no json", "meter", FaultMalformed},
		{"array", "[]", FaultMalformed},
		{"schema 99", `{"v":99,"name":"meter","new":1}`, FaultVersion},
		{"no schema", `{"name":"meter"}`, FaultVersion},
		{"unknown restriction", `{"v":1,"name":"meter","planets":["mars"]}`, FaultMalformed},
		{"other profile", `{"v":1,"name":"tracker"}`, FaultMismatch},
		{"bad field", `{"v":1,"name":"meter","countries":["Germany"]}`, FaultMalformed},
		{"wrong type", `{"v":1,"name":"meter","countries":5}`, FaultMalformed},
		{"too large", `{"v":1,"name":"meter","class":"` + strings.Repeat("x", maxValue) + `"}`, FaultTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, why, ok := decodeProfile([]byte(tt.value), "meter")
			require.False(t, ok)
			assert.Equal(t, tt.why.String(), why.String())
		})
	}
}

func FuzzDecodeValue(f *testing.F) {
	f.Add(good1, name1)
	for _, v := range wrongValues[:len(wrongValues)-1] {
		f.Add(v.value, name1)
	}
	f.Fuzz(func(t *testing.T, s, name string) {
		v, _, ok := decodeValue(s, name)
		if !ok {
			return
		}
		again, _, ok := decodeValue(string(appendValue(nil, v, name)), name)
		require.True(t, ok)
		require.Equal(t, v, again)
	})
}

func FuzzDecodeProfile(f *testing.F) {
	f.Add([]byte(`{"v":1,"name":"meter","countries":["DE"],"session_timeout":"4h"}`), "meter")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		s, p, _, ok := decodeProfile(b, name)
		if !ok {
			return
		}
		out, err := encodeProfile(s)
		require.NoError(t, err)
		_, again, _, ok := decodeProfile(out, name)
		require.True(t, ok)
		require.Equal(t, p, again)
	})
}
