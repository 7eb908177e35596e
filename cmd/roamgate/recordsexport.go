package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

func recordsExport() *cobra.Command {
	var p recordPlace
	var x export
	c := &cobra.Command{
		Use:   "export",
		Short: "Write usage records as JSON lines, CSV or Parquet",
		Long: `Write usage records as JSON lines, CSV or Parquet. --out names a file, for
Parquet a directory, which gets files of up to 250,000 records, each whole. With
--resume an export that was interrupted goes on behind the last record it has;
so does one that is to be continued the next day.`,
		Example: "  roamgate records export >records.jsonl\n" +
			"  roamgate records export --format csv --out october.csv --since 2026-10-01 --until 2026-11-01\n" +
			"  roamgate records export --format parquet --out october --resume",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := x.check(cmd); err != nil {
				return err
			}
			return p.with(cmd, func(ctx context.Context, b recordBook) error { return x.run(ctx, cmd, b) })
		},
	}
	x.q.flags(c.Flags())
	c.Flags().StringVar(&x.format, "format", "jsonl", "jsonl, csv or `parquet`")
	c.Flags().StringVarP(&x.out, "out", "o", "", "`file`, or directory for Parquet; default standard output")
	c.Flags().BoolVar(&x.resume, "resume", false, "go on behind the last record that is in --out")
	p.flags(c)
	return c
}

// export is one run of the command.
type export struct {
	q      recordQuery
	format string
	out    string
	resume bool
	rows   int // of a Parquet file; tests lower it
}

const parquetRows = 250_000

func (x *export) check(cmd *cobra.Command) error {
	if x.rows == 0 {
		x.rows = parquetRows
	}
	switch {
	case !slices.Contains(usage.Formats(), usage.Format(x.format)):
		return misuse(cmd, "--format %q is none of jsonl, csv, parquet", x.format)
	case x.resume && x.out == "":
		return misuse(cmd, "--resume needs --out")
	case x.format == "parquet" && x.out == "":
		return misuse(cmd, "Parquet goes to a directory: --out names it")
	}
	return nil
}

func (x *export) run(ctx context.Context, cmd *cobra.Command, b recordBook) error {
	s, err := b.sums(ctx)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, n := range s.Records {
		total += n
	}
	bar := newProgress(cmd.ErrOrStderr(), int(total))
	defer bar.end()
	if x.format == "parquet" {
		return x.parquet(ctx, b, bar)
	}
	return x.text(ctx, cmd.OutOrStdout(), b, bar)
}

// text writes JSON lines or CSV.
func (x *export) text(ctx context.Context, out io.Writer, b recordBook, bar *progress) (err error) {
	begun := false
	if x.out != "" {
		f, after, end, oerr := x.openText(ctx, b)
		if oerr != nil {
			return oerr
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out, x.q.after, begun = f, after, end > 0
	}
	buffered := bufio.NewWriterSize(out, 1<<20)
	w, err := usage.NewWriter(usage.Format(x.format), buffered, begun)
	if err != nil {
		return problem("%v", err)
	}
	err = b.records(ctx, x.q, func(order uint64, r *usage.Record) error {
		bar.at(int(order))
		return w.Write(r)
	})
	return errors.Join(err, w.Close(), buffered.Flush())
}

// openText opens the file and finds where to go on: behind the last record
// that is whole.
func (x *export) openText(ctx context.Context, b recordBook) (f *os.File, after uint64, end int64, err error) {
	if !x.resume {
		f, err = os.OpenFile(x.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, os.ErrExist) {
			return nil, 0, 0, problem("%s is there already (--resume goes on with it)", x.out)
		}
		return f, 0, 0, wrapProblem(err)
	}
	if f, err = os.OpenFile(x.out, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, 0, 0, wrapProblem(err)
	}
	after, end, err = x.goOn(ctx, f, b)
	if err != nil {
		return nil, 0, 0, errors.Join(err, f.Close())
	}
	return f, after, end, nil
}

func (x *export) goOn(ctx context.Context, f *os.File, b recordBook) (after uint64, end int64, err error) {
	st, err := f.Stat()
	if err != nil {
		return 0, 0, wrapProblem(err)
	}
	id, end, err := usage.Last(usage.Format(x.format), f, st.Size())
	if err != nil {
		return 0, 0, problem("%s: %v", x.out, err)
	}
	if id != (accounting.Key{}) {
		a, err := b.account(ctx, id)
		if err != nil {
			return 0, 0, err
		}
		if after = a.orderOf(id); after == 0 {
			return 0, 0, problem("the last record of %s is not in the clearing store any more: is it another store's?", x.out)
		}
	}
	if err := f.Truncate(end); err != nil {
		return 0, 0, wrapProblem(err)
	}
	_, err = f.Seek(end, io.SeekStart)
	return after, end, wrapProblem(err)
}

// orderOf finds a record of the account; 0 when it is not there.
func (a *account) orderOf(id accounting.Key) uint64 {
	if a != nil {
		for _, n := range a.Records {
			if n.Record.ID == id {
				return n.Order
			}
		}
	}
	return 0
}

// parquet writes files named by the first and last order number in them. One
// that is not whole has another name.
func (x *export) parquet(ctx context.Context, b recordBook, bar *progress) error {
	if err := os.MkdirAll(x.out, 0o700); err != nil {
		return wrapProblem(err)
	}
	last, err := lastPart(x.out)
	if err != nil {
		return err
	}
	if last > 0 && !x.resume {
		return problem("%s holds an export already (--resume goes on with it)", x.out)
	}
	x.q.after = last
	p := parquetParts{dir: x.out, rows: x.rows}
	err = b.records(ctx, x.q, func(order uint64, r *usage.Record) error {
		bar.at(int(order))
		return p.write(order, r)
	})
	if err != nil {
		return errors.Join(err, p.giveUp())
	}
	return p.finish()
}

const (
	partPattern = "records-%012d-%012d.parquet"
	partGlob    = "records-*-*.parquet"
)

// lastPart is the highest order number in the directory's files.
func lastPart(dir string) (last uint64, err error) {
	names, err := filepath.Glob(filepath.Join(dir, partGlob))
	if err != nil {
		return 0, wrapProblem(err)
	}
	for _, name := range names {
		text := strings.TrimSuffix(name[strings.LastIndexByte(name, '-')+1:], ".parquet")
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return 0, problem("%s is no file of an export", name)
		}
		last = max(last, n)
	}
	return last, nil
}

// parquetParts writes one file after the other.
type parquetParts struct {
	dir         string
	rows        int
	f           *os.File
	w           usage.Writer
	n           int
	first, last uint64
}

func (p *parquetParts) write(order uint64, r *usage.Record) (err error) {
	if p.f == nil {
		if p.f, err = os.CreateTemp(p.dir, ".unfinished-*"); err != nil {
			return wrapProblem(err)
		}
		if p.w, err = usage.NewWriter(usage.Parquet, p.f, false); err != nil {
			return err
		}
		p.first, p.n = order, 0
	}
	if err := p.w.Write(r); err != nil {
		return err
	}
	p.last = order
	if p.n++; p.n == p.rows {
		return p.finish()
	}
	return nil
}

// finish makes the file whole, and only then gives it its name.
func (p *parquetParts) finish() error {
	if p.f == nil {
		return nil
	}
	f := p.f
	p.f = nil
	if err := errors.Join(p.w.Close(), f.Sync(), f.Close()); err != nil {
		return wrapProblem(err)
	}
	return wrapProblem(os.Rename(f.Name(), filepath.Join(p.dir, fmt.Sprintf(partPattern, p.first, p.last))))
}

func (p *parquetParts) giveUp() error {
	if p.f == nil {
		return nil
	}
	return errors.Join(p.f.Close(), os.Remove(p.f.Name()))
}

// wrapProblem shows an error of the system as it is.
func wrapProblem(err error) error {
	if err == nil {
		return nil
	}
	return problem("%v", err)
}
