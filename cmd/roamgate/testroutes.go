package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/aaa"
	"github.com/roamgate/roamgate/aaa/client"
	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
)

// routeTests is a file of tests of routes, which operators keep beside their
// routing files.
type routeTests struct {
	Tests []routeTest `yaml:"tests,required"`
}

// routeTest is one question and what the answer must say.
type routeTest struct {
	Pos         realm.Pos   `yaml:",pos"`
	Name        string      `yaml:"name"` // default: the NAI
	NAI         string      `yaml:"nai,required"`
	From        string      `yaml:"from"` // client: its name or an address
	Kind        string      `yaml:"kind"` // auth or acct, default auth
	SSID        string      `yaml:"ssid"`
	Station     string      `yaml:"station"` // Calling-Station-Id
	IMSI        string      `yaml:"imsi"`
	CUI         string      `yaml:"cui"`
	Operator    string      `yaml:"operator"`      // Operator-Name with its digit
	RCOI        string      `yaml:"rcoi"`          // hexadecimal
	NASPortType string      `yaml:"nas_port_type"` // number
	RATType     string      `yaml:"rat_type"`      // number
	At          string      `yaml:"at"`            // time such as 2026-03-01T12:00:00Z, default now
	AVP         []string    `yaml:"avp"`           // further attributes, as Name=value
	Expect      expectation `yaml:"expect,required"`
}

// expectation is what the answer must say; what is left out may be anything.
// "none" stands for nothing.
type expectation struct {
	Pos         realm.Pos `yaml:",pos"`
	Result      string    `yaml:"result"` // forward, reject, record or drop
	Reason      string    `yaml:"reason"`
	Realm       string    `yaml:"realm"`
	Rule        string    `yaml:"rule"`
	Match       string    `yaml:"match"`
	Pool        string    `yaml:"pool"`
	Home        string    `yaml:"home"`      // tried first
	UserName    string    `yaml:"user_name"` // toward the home
	Contract    string    `yaml:"contract"`
	In          string    `yaml:"in"` // filters of the client
	Out         string    `yaml:"out"`
	Policy      string    `yaml:"policy"`
	Profile     string    `yaml:"profile"`
	Acknowledge string    `yaml:"acknowledge"`
}

const nothing = "none"

// wants lists what is expected, by the keys of an Explanation.
func (e *expectation) wants() (wants [][2]string) {
	for _, w := range [][2]string{
		{"result", e.Result}, {"reason", e.Reason}, {"realm", e.Realm}, {"rule", e.Rule}, {"match", e.Match}, {"pool", e.Pool}, {"home", e.Home},
		{"user_name", e.UserName}, {"contract", e.Contract}, {"in", e.In}, {"out", e.Out}, {"policy", e.Policy}, {"profile", e.Profile},
		{"acknowledge", e.Acknowledge},
	} {
		if w[1] != "" {
			wants = append(wants, w)
		}
	}
	return wants
}

// question puts a test as explain does.
func (t *routeTest) question() (aaa.Question, error) {
	v := url.Values{"nai": {t.NAI}}
	for k, s := range map[string]string{
		"client": t.From, "kind": t.Kind, "ssid": t.SSID, "station": t.Station, "imsi": t.IMSI, "cui": t.CUI, "operator": t.Operator,
		"rcoi": t.RCOI, "nas_port_type": t.NASPortType, "rat_type": t.RATType, "at": t.At,
	} {
		if s != "" {
			v.Set(k, s)
		}
	}
	v["avp"] = t.AVP
	return aaa.ParseQuestion(v)
}

// loadTests reads a file of tests.
func loadTests(path string) ([]routeTest, file.Problems) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, file.Problems{{Pos: filePos(path), Severity: file.Error, Text: "reading the tests: " + reason(err)}}
	}
	doc, ps := file.Parse(path, data)
	if ps.Failed() {
		return nil, ps
	}
	var all routeTests
	if ps = append(ps, doc.Decode(&all)...); ps.Failed() {
		return nil, ps
	}
	bad := func(pos realm.Pos, text, hint string) {
		ps = append(ps, file.Problem{Pos: pos, Severity: file.Error, Text: text, Hint: hint})
	}
	if len(all.Tests) == 0 {
		bad(filePos(path), "there are no tests", "")
	}
	for i := range all.Tests {
		t := &all.Tests[i]
		if t.Name == "" {
			t.Name = t.NAI
		}
		if t.Kind != "" && t.Kind != "auth" && t.Kind != "acct" {
			bad(t.Pos, fmt.Sprintf("kind %q is not known", t.Kind), "auth or acct")
		}
		if len(t.Expect.wants()) == 0 {
			bad(t.Pos, "nothing is expected: the test cannot fail", "such as expect: {result: forward}")
		}
		if _, err := t.question(); err != nil {
			bad(t.Pos, err.Error(), "")
		}
	}
	return all.Tests, ps
}

// verdict is how one test ended.
type verdict struct {
	Name   string   `json:"name"`
	At     string   `json:"at"`
	Passed bool     `json:"passed"`
	Wrong  []string `json:"wrong,omitempty"`
}

// judge holds an answer against a test.
func (t *routeTest) judge(x *aaa.Explanation) (verdict, error) {
	v := verdict{Name: t.Name, At: t.Pos.String()}
	text, err := json.Marshal(x)
	if err != nil {
		return v, err
	}
	var said map[string]any
	if err := json.Unmarshal(text, &said); err != nil {
		return v, err
	}
	if len(x.Order) > 0 {
		said["home"] = x.Order[0].Home
	}
	for _, w := range t.Expect.wants() {
		got, _ := said[w[0]].(string)
		if got == "" {
			got = nothing
		}
		if got != w[1] {
			v.Wrong = append(v.Wrong, fmt.Sprintf("%s is %s, not %s", w[0], got, w[1]))
		}
	}
	v.Passed = len(v.Wrong) == 0
	if !v.Passed && x.RuleAt != "" {
		v.Wrong = append(v.Wrong, "by the rule at "+x.RuleAt)
	}
	return v, nil
}

func testCommand() *cobra.Command {
	var at hubAddress
	var path, format string
	c := &cobra.Command{
		Use:   "test FILE",
		Short: "Test where routes lead, by a file of questions and answers",
		Long: `Ask the questions of a file as "roamgate explain" does, and hold the answers
against what the file expects:

  tests:
    - name: guests of the airport go to acme
      nai: alice@acme.example
      from: airport
      expect: {result: forward, pool: acme, home: acme-1}

Keys of a test: name, nai, from, kind (auth or acct), ssid, station, imsi, cui,
operator, rcoi, nas_port_type, rat_type, at, avp (a list of Name=value). Keys of
expect: result, reason, realm, rule, match, pool, home, user_name, contract,
in, out, policy, profile, acknowledge; "none" stands for nothing.

With --config the routing files are tested as they are, without a hub; without
it the running hub is asked. Exit code 0: all tests pass; 1: some do not, or
the file has mistakes.`,
		Example: "  roamgate test routes.yaml --config roamgate.yaml\n  roamgate test routes.yaml --format junit",
		Args:    exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			write := verdictWriters[format]
			if write == nil {
				return misuse(cmd, "--format %q is not known: text, json or junit", format)
			}
			tests, ps := loadTests(args[0])
			if ps.Failed() {
				return problem("%s in the tests\n%v", count(ps.Count(file.Error), "error"), ps)
			}
			answer, err := answers(cmd, &at, path)
			if err != nil {
				return err
			}
			all, failed := []verdict{}, 0
			for i := range tests {
				q, err := tests[i].question()
				if err != nil {
					return problem("%s: %v", tests[i].Pos, err)
				}
				x, err := answer(q)
				if err != nil {
					return err
				}
				v, err := tests[i].judge(&x)
				if err != nil {
					return err
				}
				if !v.Passed {
					failed++
				}
				all = append(all, v)
			}
			if err := write(cmd.OutOrStdout(), args[0], all, failed); err != nil {
				return err
			}
			if failed > 0 {
				return &exitError{code: exitProblem}
			}
			return nil
		},
	}
	c.Flags().StringVar(&format, "format", "text", "text, json or junit")
	c.Flags().StringVarP(&path, "config", "c", "", "test this configuration `file` instead of the running hub")
	at.flag(c)
	return c
}

// answers gives who answers questions: the files, or the hub.
func answers(cmd *cobra.Command, at *hubAddress, path string) (func(aaa.Question) (aaa.Explanation, error), error) {
	if path == "" {
		return func(q aaa.Question) (x aaa.Explanation, err error) {
			return x, at.get(cmd.Context(), "/explain?"+q.Values().Encode(), &x)
		}, nil
	}
	l, ps := loadAll(path)
	if l == nil {
		return nil, refused(ps)
	}
	e, err := explainer(l)
	if err != nil {
		return nil, err
	}
	return func(q aaa.Question) (aaa.Explanation, error) { return e.Explain(q), nil }, nil
}

// explainer answers by files alone.
func explainer(l *loaded) (*aaa.Explainer, error) {
	clients, err := client.New(l.set.Clients)
	if err != nil {
		return nil, problem("%v", err)
	}
	homes, err := home.NewRegistry(0).Compile(l.set)
	if err != nil {
		return nil, problem("%v", err)
	}
	e := &aaa.Explainer{Set: l.set, Clients: clients, Homes: homes, Wall: time.Now().Unix()}
	if l.policy != nil {
		e.Policy = device.New(device.Config{File: l.policy})
	}
	return e, nil
}

var verdictWriters = map[string]func(w io.Writer, name string, all []verdict, failed int) error{
	"text": writeVerdicts, "json": writeVerdictsJSON, "junit": writeVerdictsJUnit,
}

func writeVerdicts(w io.Writer, _ string, all []verdict, failed int) error {
	for _, v := range all {
		if !v.Passed {
			fmt.Fprintf(w, "%s: FAIL: %s: %s\n", v.At, v.Name, strings.Join(v.Wrong, ", "))
		}
	}
	_, err := fmt.Fprintf(w, "%s: %d passed, %d failed\n", count(len(all), "test"), len(all)-failed, failed)
	return err
}

func writeVerdictsJSON(w io.Writer, _ string, all []verdict, failed int) error {
	return indented(w, struct {
		Passed int       `json:"passed"`
		Failed int       `json:"failed"`
		Tests  []verdict `json:"tests"`
	}{len(all) - failed, failed, all})
}

// writeVerdictsJUnit writes what CI systems read.
func writeVerdictsJUnit(w io.Writer, name string, all []verdict, failed int) error {
	type failure struct {
		Message string `xml:"message,attr"`
	}
	type testcase struct {
		Name    string   `xml:"name,attr"`
		Class   string   `xml:"classname,attr"`
		Failure *failure `xml:"failure,omitempty"`
	}
	suite := struct {
		XMLName  xml.Name   `xml:"testsuite"`
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Cases    []testcase `xml:"testcase"`
	}{Name: name, Tests: len(all), Failures: failed}
	for _, v := range all {
		tc := testcase{Name: v.Name, Class: name}
		if !v.Passed {
			tc.Failure = &failure{v.At + ": " + strings.Join(v.Wrong, ", ")}
		}
		suite.Cases = append(suite.Cases, tc)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// writeAsTest writes a question and its answer as a test.
func writeAsTest(w io.Writer, q *aaa.Question, x *aaa.Explanation) {
	line := func(indent, key, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s%s: %s\n", indent, key, quoted(value))
		}
	}
	fmt.Fprintf(w, "tests:\n  - nai: %s\n", quoted(q.NAI))
	v := q.Values()
	for _, k := range []string{"client", "kind", "ssid", "station", "imsi", "cui", "operator", "rcoi", "nas_port_type", "rat_type", "at"} {
		key := k
		if k == "client" {
			key = "from"
		}
		line("    ", key, v.Get(k))
	}
	if avps := v["avp"]; len(avps) > 0 {
		fmt.Fprintf(w, "    avp:\n")
		for _, a := range avps {
			fmt.Fprintf(w, "      - %s\n", quoted(a))
		}
	}
	fmt.Fprintf(w, "    expect:\n")
	line("      ", "result", x.Result)
	line("      ", "reason", x.Reason)
	line("      ", "rule", x.Rule)
	line("      ", "pool", x.Pool)
	if len(x.Order) > 0 {
		line("      ", "home", x.Order[0].Home)
	}
}

// quoted is a text as YAML reads it back, whatever is in it: a JSON string is
// one.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(b)
}
