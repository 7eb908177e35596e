package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
)

var said = file.Problems{
	{Pos: realm.Pos{File: "a,b:c.yaml", Line: 3, Col: 7}, Severity: file.Error, Text: "100% wrong", Hint: "write\nthis"},
	{Pos: realm.Pos{File: "/etc/x y/realms"}, Severity: file.Warning, Text: "nobody is there"},
	{Severity: file.Info, Text: "and 3 more"},
}

func TestCheckGitHub(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, writeProblems(&out, "github", said))
	assert.Equal(t, "::error file=a%2Cb%3Ac.yaml,line=3,col=7::100%25 wrong (write%0Athis)\n"+
		"::warning file=/etc/x y/realms::nobody is there\n"+
		"::notice::and 3 more\n", out.String())
}

func TestCheckSARIF(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, writeProblems(&out, "sarif", said))
	var log struct {
		Version string
		Runs    []struct{ Results []map[string]any }
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &log))
	assert.Equal(t, "2.1.0", log.Version)
	require.Len(t, log.Runs, 1)
	place := func(uri string, region map[string]any) []any {
		p := map[string]any{"artifactLocation": map[string]any{"uri": uri}}
		if region != nil {
			p["region"] = region
		}
		return []any{map[string]any{"physicalLocation": p}}
	}
	assert.Equal(t, []map[string]any{
		{"ruleId": "configuration", "level": "error", "message": map[string]any{"text": "100% wrong (write\nthis)"},
			"locations": place("./a,b:c.yaml", map[string]any{"startLine": 3.0, "startColumn": 7.0})},
		{"ruleId": "configuration", "level": "warning", "message": map[string]any{"text": "nobody is there"},
			"locations": place("file:///etc/x%20y/realms", nil)},
		{"ruleId": "configuration", "level": "note", "message": map[string]any{"text": "and 3 more"}},
	}, log.Runs[0].Results)

	out.Reset()
	require.NoError(t, writeProblems(&out, "sarif", nil))
	assert.Contains(t, out.String(), `"results": []`, "a list, though empty")
}

func TestCheckFormats(t *testing.T) {
	_, path := configuration(t, map[string]string{"roamgate.yaml": goodMain + "log: {level: loud}\n"})
	for format, want := range map[string]string{
		"text":   path + ":4:14: error: log.level \"loud\" is not known (debug, info, warn or error)\n",
		"github": "::error file=" + path + ",line=4,col=14::log.level \"loud\" is not known (debug, info, warn or error)\n",
	} {
		r := command("check", "--format", format, path)
		assert.Equal(t, exitProblem, r.code)
		assert.Equal(t, want, r.out)
	}
	r := command("check", "--format", "xml", path)
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.errs, "text, json, github or sarif")
}
