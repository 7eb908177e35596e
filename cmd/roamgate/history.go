package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/realm/history"
)

// versionsInUse is what GET /history says.
type versionsInUse struct {
	Steps   []history.Step   `json:"steps"` // the newest first
	Damaged []history.Damage `json:"damaged,omitempty"`
	Disk    history.Hash     `json:"disk,omitzero"` // of the files, where the hub says it
	Until   time.Time        `json:"until,omitzero"`
}

func historyOf(l history.Log, st history.State) versionsInUse {
	v := versionsInUse{Steps: l.Steps(), Damaged: l.Damaged, Disk: st.Disk, Until: st.Trial.Until}
	if v.Steps == nil {
		v.Steps = []history.Step{}
	}
	return v
}

func historyCommand() *cobra.Command {
	var at hubAddress
	var path string
	var asJSON bool
	c := &cobra.Command{
		Use:   "history",
		Short: "List the versions of the routing files that were in use",
		Long: `List the versions of the routing files that were in use, the newest first: when
each was taken into use, how, by whom, and what it changed. The first column is
the number of steps that "roamgate rollback" takes. With --config the directory
of the history is read; without it the running hub is asked.`,
		Example: "  roamgate history\n  roamgate history --json --config roamgate.yaml",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var v versionsInUse
			if path == "" {
				if err := at.get(cmd.Context(), "/history", &v); err != nil {
					return err
				}
			} else {
				l, _, err := historyAt(path)
				if err != nil {
					return err
				}
				v = historyOf(l, history.State{})
			}
			if asJSON {
				return indented(cmd.OutOrStdout(), v)
			}
			return writeHistory(cmd.OutOrStdout(), &v)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVarP(&path, "config", "c", "", "read the history of this configuration `file` instead of asking the hub")
	at.flag(c)
	return c
}

// historyAt reads the history beside a hub, or without one.
func historyAt(path string) (history.Log, *config, error) {
	conf, ps := loadConfig(path)
	if conf == nil || ps.Failed() {
		return history.Log{}, nil, refused(ps)
	}
	l, err := history.Read(conf.path(conf.Routing.History))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return l, nil, problem("%v", err)
	}
	return l, conf, nil
}

func writeHistory(out io.Writer, v *versionsInUse) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "STEPS\tSINCE\tVERSION\tHOW\tWHO\tCHANGE\tCOMMENT")
	for _, s := range v.Steps {
		how := string(s.How)
		switch {
		case s.Confirmed != 0:
			how += ", confirmed"
		case s.Back == 0 && !v.Until.IsZero():
			how += ", until " + v.Until.Local().Format(time.TimeOnly) + " unless confirmed"
		}
		comment := s.Comment
		if s.Why != "" {
			comment = s.Why
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Back, s.Time.Local().Format(time.DateTime), s.Hash, how, s.Who, s.Change, comment)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, d := range v.Damaged {
		fmt.Fprintf(out, "damaged: %s: %s\n", d.Path, d.Text)
	}
	if len(v.Steps) > 0 && !v.Disk.IsZero() && v.Disk != v.Steps[0].Hash {
		fmt.Fprintf(out, "the files on disk are another version: %s\n", v.Disk)
	}
	return nil
}
