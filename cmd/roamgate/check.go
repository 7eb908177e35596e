package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/aaa/client"
	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
)

func checkCommand() *cobra.Command {
	var path, format string
	c := &cobra.Command{
		Use:   "check",
		Short: "Say everything that is wrong with the configuration",
		Long: `Read the main configuration and every file it names, say all mistakes at once
as file:line:column, and change nothing. Exit code 0: serve would take it.`,
		Example: "  roamgate check --config roamgate.yaml\n  roamgate check --format json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, _, ps := loadAll(path)
			if err := writeProblems(cmd.OutOrStdout(), format, ps); err != nil {
				return err
			}
			if n := ps.Count(file.Error); n > 0 {
				return problem("%d of what was found must be mended", n)
			}
			return nil
		},
	}
	configFlag(c, &path)
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

// loadAll reads what serve reads, and goes on after mistakes so that all of
// them are named. The set is nil when any is an error.
func loadAll(path string) (*config, *realm.Set, file.Problems) {
	conf, ps := loadConfig(path)
	if conf == nil {
		return nil, nil, ps
	}
	set, more := file.Load(conf.path(conf.Routing.Directory), os.LookupEnv)
	ps = append(ps, more...)
	if set != nil {
		ps = append(ps, compiles(set)...)
	}
	if conf.Policy.File != "" {
		_, more := device.LoadFile(conf.path(conf.Policy.File))
		ps = append(ps, more...)
	}
	if _, err := conf.redisPassword(); err != nil {
		ps = append(ps, file.Problem{Pos: filePos(path), Severity: file.Error, Text: err.Error()})
	}
	if ps.Failed() {
		set = nil
	}
	return conf, set, ps
}

// compiles finds what only the running hub would refuse.
func compiles(set *realm.Set) (ps file.Problems) {
	if _, err := client.New(set.Clients); err != nil {
		ps = append(ps, file.Problem{Severity: file.Error, Text: err.Error()})
	}
	if _, err := home.NewRegistry(0).Compile(set); err != nil {
		ps = append(ps, file.Problem{Severity: file.Error, Text: err.Error()})
	}
	return ps
}

func filePos(path string) realm.Pos { return realm.Pos{File: path} }

func writeProblems(w io.Writer, format string, ps file.Problems) error {
	switch format {
	case "text":
		for _, p := range ps {
			fmt.Fprintln(w, p)
		}
		return nil
	case "json":
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
	return fmt.Errorf("--format %q is not known: text or json", format)
}
