package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/roamgate/roamgate/realm/file"
)

// writeText prints a line for each problem: file:line:column: severity: text.
func writeText(w io.Writer, ps file.Problems) error {
	for _, p := range ps {
		if _, err := fmt.Fprintln(w, p); err != nil {
			return err
		}
	}
	return nil
}

// writeLines prints an object in a line for each problem.
func writeLines(w io.Writer, ps file.Problems) error {
	type row struct {
		File     string `json:"file"`
		Line     int    `json:"line"`
		Column   int    `json:"column"`
		Severity string `json:"severity"`
		Text     string `json:"text"`
		Hint     string `json:"hint,omitempty"`
	}
	e := json.NewEncoder(w)
	for _, p := range ps {
		if err := e.Encode(row{p.Pos.File, p.Pos.Line, p.Pos.Col, p.Severity.String(), p.Text, p.Hint}); err != nil {
			return err
		}
	}
	return nil
}

// message is what a problem says beside its place.
func message(p file.Problem) string {
	if p.Hint == "" {
		return p.Text
	}
	return p.Text + " (" + p.Hint + ")"
}

// What ends a message or a property of a workflow command.
var (
	gitHubText = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	gitHubWord = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// writeGitHub prints the commands by which a workflow of GitHub marks lines of a
// change.
func writeGitHub(w io.Writer, ps file.Problems) error {
	levels := [...]string{file.Info: "notice", file.Warning: "warning", file.Error: "error"}
	for _, p := range ps {
		var place []string
		if p.Pos.File != "" {
			place = append(place, "file="+gitHubWord.Replace(p.Pos.File))
		}
		if p.Pos.Line > 0 {
			place = append(place, fmt.Sprintf("line=%d,col=%d", p.Pos.Line, p.Pos.Col))
		}
		command := levels[p.Severity]
		if len(place) > 0 {
			command += " " + strings.Join(place, ",")
		}
		if _, err := fmt.Fprintf(w, "::%s::%s\n", command, gitHubText.Replace(message(p))); err != nil {
			return err
		}
	}
	return nil
}

// Of SARIF 2.1.0 only what reviews show.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Columns string        `json:"columnKind"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID string `json:"id"`
	}
	sarifResult struct {
		Rule      string          `json:"ruleId"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifLocation struct {
		Place sarifPlace `json:"physicalLocation"`
	}
	sarifPlace struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		Line   int `json:"startLine"`
		Column int `json:"startColumn,omitempty"`
	}
)

// sarifRuleID is the one rule: files are as serve wants them.
const sarifRuleID = "configuration"

// writeSARIF prints one log in the Static Analysis Results Interchange Format.
func writeSARIF(w io.Writer, ps file.Problems) error {
	levels := [...]string{file.Info: "note", file.Warning: "warning", file.Error: "error"}
	results := make([]sarifResult, 0, len(ps))
	for _, p := range ps {
		r := sarifResult{Rule: sarifRuleID, Level: levels[p.Severity], Message: sarifText{message(p)}}
		if p.Pos.File != "" {
			uri := url.URL{Path: filepath.ToSlash(p.Pos.File)}
			if filepath.IsAbs(p.Pos.File) {
				uri.Scheme = "file"
			}
			place := sarifPlace{Artifact: sarifArtifact{uri.String()}}
			if p.Pos.Line > 0 {
				place.Region = &sarifRegion{p.Pos.Line, p.Pos.Col}
			}
			r.Locations = []sarifLocation{{place}}
		}
		results = append(results, r)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(sarifLog{
		Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0",
		Runs: []sarifRun{{
			Tool:    sarifTool{sarifDriver{Name: "roamgate", Version: versionText(), Rules: []sarifRule{{sarifRuleID}}}},
			Columns: "unicodeCodePoints", Results: results,
		}},
	})
}
