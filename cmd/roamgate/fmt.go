package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/realm/file"
)

func fmtCommand() *cobra.Command {
	var path string
	var check, diff bool
	c := &cobra.Command{
		Use:   "fmt [FILE|DIRECTORY...]",
		Short: "Write configuration files in their canonical form",
		Long: `Give files one form: two blanks for each level, lists below their key, quotes
only where they are needed, no blanks at the ends of lines. Comments, the order
and what a file says stay as they are. Of a directory, all its *.yaml and *.yml
files; without arguments, the main configuration and its routing files.

A file is replaced at once or not at all. With --check or --diff nothing is
written, and the exit code is 1 if a file is not in its form.`,
		Example: "  roamgate fmt realms\n  roamgate fmt --check --config roamgate.yaml\n  roamgate fmt --diff realms/50-iot-partner.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			names, err := formatNames(path, args)
			if err != nil {
				return err
			}
			out, changed := cmd.OutOrStdout(), 0
			for _, name := range names {
				was, now, err := formatted(name)
				if err != nil {
					return err
				}
				if bytes.Equal(was, now) {
					continue
				}
				changed++
				switch {
				case diff:
					lineDiff(out, name, was, now)
				case check:
					fmt.Fprintln(out, file.FormatProblem(name))
				default:
					if err := replaceFile(name, now); err != nil {
						return problem("writing %s: %s", name, reason(err))
					}
					fmt.Fprintln(out, name)
				}
			}
			if changed > 0 && (check || diff) {
				return problem("%s not in form: roamgate fmt does it", count(changed, "file"))
			}
			return nil
		},
	}
	configFlag(c, &path)
	c.Flags().BoolVar(&check, "check", false, "only name the files that are not in their form")
	c.Flags().BoolVar(&diff, "diff", false, "only show what would change")
	return c
}

// formatNames lists the files that are meant.
func formatNames(path string, args []string) (names []string, err error) {
	if len(args) == 0 {
		conf, ps := loadConfig(path)
		if conf == nil {
			return nil, refused(ps)
		}
		args = []string{path, conf.path(conf.Routing.Directory)}
	}
	for _, name := range args {
		info, err := os.Stat(name)
		switch {
		case err != nil:
			return nil, problem("reading %s: %s", name, reason(err))
		case !info.IsDir():
			names = append(names, name)
			continue
		}
		texts, ps := file.ReadTexts(name)
		if ps.Failed() {
			return nil, refused(ps)
		}
		for _, t := range texts {
			names = append(names, filepath.Join(name, t.Name))
		}
	}
	return slices.Compact(names), nil
}

func formatted(name string) (was, now []byte, err error) {
	if was, err = os.ReadFile(name); err != nil {
		return nil, nil, problem("reading %s: %s", name, reason(err))
	}
	now, ps := file.Format(name, was)
	if ps.Failed() {
		return nil, nil, refused(ps)
	}
	return was, now, nil
}

// replaceFile puts a file in the place of another in one step, with its rights.
// A symbolic link stays one. Until then nobody takes the new file for one of
// the directory: its name is hidden.
func replaceFile(name string, data []byte) (err error) {
	if name, err = filepath.EvalSymlinks(name); err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".fmt-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, dropFile(f.Name()))
		}
	}()
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(info.Mode().Perm()), keepOwner(f, info), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// keepOwner gives a new file the owner of the old one, where that is allowed.
func keepOwner(f *os.File, old fs.FileInfo) error {
	s, known := old.Sys().(*syscall.Stat_t)
	if !known {
		return nil
	}
	if err := f.Chown(int(s.Uid), int(s.Gid)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

func dropFile(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// lineDiff prints what changes between two forms of a file. Lines keep their
// order and only empty ones go, so no search is needed.
func lineDiff(out io.Writer, name string, was, now []byte) {
	fmt.Fprintf(out, "--- %s\n+++ %s\n", name, name)
	old, set := strings.Split(strings.TrimSuffix(string(was), "\n"), "\n"), strings.Split(strings.TrimSuffix(string(now), "\n"), "\n")
	i, j := 0, 0
	for i < len(old) {
		if j < len(set) && old[i] == set[j] {
			i, j = i+1, j+1
			continue
		}
		var less, more []string
		from, to := i, j
		for i < len(old) && (j == len(set) || old[i] != set[j]) {
			less = append(less, old[i])
			if blank := strings.TrimSpace(old[i]) == ""; !blank && j < len(set) || blank && j < len(set) && set[j] == "" {
				more = append(more, set[j])
				j++
			}
			i++
		}
		fmt.Fprintf(out, "@@ -%d,%d +%d,%d @@\n", from+1, len(less), to+1, len(more))
		for _, l := range less {
			fmt.Fprintf(out, "-%s\n", l)
		}
		for _, l := range more {
			fmt.Fprintf(out, "+%s\n", l)
		}
	}
}
