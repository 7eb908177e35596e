package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
)

func spoolCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "spool",
		Short: "Look into the spool of accounting records, and repair it",
		Long: `Look into the spool, where accounting records wait for the clearing side.
The hub must be stopped, but for dump, which can ask a running one.`,
	}
	return group(c, spoolLsCommand(), spoolVerifyCommand(), spoolDumpCommand(), spoolRepairCommand())
}

// spoolPlace is the directory that a configuration names.
type spoolPlace struct{ config string }

func (p *spoolPlace) flag(c *cobra.Command) {
	c.Flags().StringVarP(&p.config, "config", "c", "roamgate.yaml", "main configuration `file` of a hub that is stopped")
}

func (p *spoolPlace) dir() (string, error) {
	conf, ps := loadConfig(p.config)
	if ps.Failed() {
		return "", refused(ps)
	}
	return conf.path(conf.Spool.Directory), nil
}

const stopFirst = "stop it first"

func spoolLsCommand() *cobra.Command {
	var place spoolPlace
	var asJSON bool
	c := &cobra.Command{
		Use:     "ls",
		Short:   "Say whose the spool is, what it holds, and its files",
		Example: "  roamgate spool ls --config roamgate.yaml\n  roamgate spool ls --config roamgate.yaml --json",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := place.dir()
			if err != nil {
				return err
			}
			v, err := inventory(dir)
			switch {
			case errors.Is(err, spool.ErrDamaged):
				writeFiles(cmd.OutOrStdout(), v.Files)
				return problem("%v (roamgate spool verify says where)", err)
			case err != nil:
				return spoolProblem(dir, err, stopFirst)
			case asJSON:
				return indented(cmd.OutOrStdout(), v)
			}
			writeInventory(cmd.OutOrStdout(), dir, &v)
			writeFiles(cmd.OutOrStdout(), v.Files)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	place.flag(c)
	return c
}

// inventory of a damaged spool has its files at least.
func inventory(dir string) (v spool.Inventory, err error) {
	s, err := spool.Open(dir, spool.Options{ReadOnly: true, SkipCheck: true})
	if err != nil {
		v.Files, _ = spool.Files(dir, nil)
		return v, err
	}
	defer func() { _ = s.Close() }()
	return s.Inventory()
}

func writeInventory(out io.Writer, dir string, v *spool.Inventory) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "spool\t%s\n", dir)
	fmt.Fprintf(w, "node\t%s\n", dash(shown(v.Node)))
	fmt.Fprintf(w, "epoch\t%d\n", v.Epoch)
	if v.First > v.Last {
		fmt.Fprintf(w, "records\tnone, the next is %d\n", v.First)
	} else {
		fmt.Fprintf(w, "records\t%d to %d\n", v.First, v.Last)
	}
	if !v.Oldest.IsZero() {
		fmt.Fprintf(w, "oldest\t%s\n", v.Oldest.UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(w, "delivered\t%d, the clearing side has all up to %d\n", v.Delivered, v.Watermark)
	fmt.Fprintf(w, "undelivered\t%d\n", v.Undelivered)
	fmt.Fprintf(w, "owed to homes\t%d\n", v.Owed)
	fmt.Fprintf(w, "dead letters\t%d\n", v.Dead)
	if v.Cuts > 0 {
		fmt.Fprintf(w, "messages cut\t%d, up to %d\n", v.Cuts, v.CutTo)
	}
	for _, p := range v.Lost {
		fmt.Fprintf(w, "lost\t%s, found by a repair\n", p)
	}
	fmt.Fprintf(w, "octets\t%d in %s\n", v.Bytes, count(len(v.Files), "file"))
	_ = w.Flush()
	fmt.Fprintln(out)
}

func writeFiles(out io.Writer, files []spool.File) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "FILE\tKIND\tOCTETS\tCHANGED")
	for _, f := range files {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", shown(f.Name), f.Kind, f.Bytes, f.Modified.UTC().Format(time.RFC3339))
	}
	_ = w.Flush()
}

func spoolVerifyCommand() *cobra.Command {
	var place spoolPlace
	c := &cobra.Command{
		Use:   "verify",
		Short: "Read all of the spool and say what is damaged",
		Long: `Read every record of the spool. Where that does not succeed, say which files are
damaged and where, and which records are gone. Exits with 1 then.`,
		Example: "  roamgate spool verify --config roamgate.yaml",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := place.dir()
			if err != nil {
				return err
			}
			v, err := verified(dir)
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "OK: %s, %d to %d, %d undelivered, %d owed, %s\n",
					count(int(v.Delivered+v.Undelivered), "record"), v.First, v.Last, v.Undelivered, v.Owed, count(int(v.Dead), "dead letter"))
				return nil
			}
			if !errors.Is(err, spool.ErrDamaged) {
				return spoolProblem(dir, err, stopFirst)
			}
			r, serr := spool.Salvage(dir, nil, legible)
			if serr != nil {
				return problem("%v", errors.Join(err, serr))
			}
			writeRemains(cmd.OutOrStdout(), r)
			return problem("%v (roamgate spool repair makes a new one of what can be read)", err)
		},
	}
	place.flag(c)
	return c
}

// verified reads all there is to read.
func verified(dir string) (v spool.Inventory, err error) {
	s, err := spool.Open(dir, spool.Options{ReadOnly: true, Scan: legible})
	if err != nil {
		return v, err
	}
	defer func() { _ = s.Close() }()
	return s.Inventory()
}

// legible says whether a record is one of ours.
func legible(_ uint64, rec []byte) error {
	_, err := accounting.Decode(rec)
	return err
}

func writeRemains(out io.Writer, r *spool.Remains) {
	for _, d := range r.Damage {
		fmt.Fprintf(out, "damaged    %s\n", shown(d.String()))
	}
	lost := uint64(0)
	for _, p := range r.Lost {
		note := ""
		if p.Last <= r.Watermark {
			note = ", which the clearing side has"
		}
		fmt.Fprintf(out, "lost       %s: %s%s\n", count(int(p.Len()), "record"), p, note)
		lost += p.Len()
	}
	fmt.Fprintf(out, "readable   %s of %d to %d, %d owed to homes, %s\n",
		count(int(r.Records), "record"), r.First, r.Last, r.Owed, count(int(r.Dead), "dead letter"))
	if lost == 0 {
		fmt.Fprintln(out, "lost       nothing: every record is still readable")
	}
}

func spoolRepairCommand() *cobra.Command {
	var place spoolPlace
	var yes bool
	c := &cobra.Command{
		Use:   "repair",
		Short: "Make a new spool of what can be read of a damaged one",
		Long: `Make a new spool of what can be read of a damaged one, in its place. It says
first which records are lost and asks. The damaged spool stays beside it under
another name. What clearing has not confirmed is sent again.`,
		Example: "  roamgate spool repair --config roamgate.yaml\n  roamgate spool repair --config roamgate.yaml --yes",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := place.dir()
			if err != nil {
				return err
			}
			_, err = verified(dir)
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), "the spool is whole: there is nothing to repair")
				return nil
			}
			if !errors.Is(err, spool.ErrDamaged) {
				return spoolProblem(dir, err, stopFirst)
			}
			return repairSpool(cmd, dir, yes)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	place.flag(c)
	return c
}

func repairSpool(cmd *cobra.Command, dir string, yes bool) error {
	out := cmd.OutOrStdout()
	r, err := spool.Salvage(dir, nil, legible)
	if err != nil {
		return spoolProblem(dir, err, stopFirst)
	}
	writeRemains(out, r)
	if !yes {
		fmt.Fprint(out, "Make a new spool of what is readable? Type yes: ")
		line, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		if strings.TrimSpace(line) != "yes" {
			return problem("nothing was changed")
		}
	}
	r, kept, err := spool.Repair(dir, spool.Options{Scan: legible})
	if err != nil {
		return spoolProblem(dir, err, stopFirst)
	}
	fmt.Fprintf(out, "%s is a new spool with %s, epoch %d\nthe damaged one is %s\n", dir, count(int(r.Records), "record"), r.Epoch, kept)
	return nil
}
