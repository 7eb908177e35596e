package usage

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/roamgate/roamgate/accounting"
)

// ErrResume: what is there is no export that can be continued.
var ErrResume = errors.New("the export cannot be continued")

// maxExported bounds a line of an export.
const maxExported = 4 * MaxLine

// Last finds where an export of size octets can be continued: behind its last
// whole line, at end. id is the record in that line, zero when there is none.
// Cut the file to end, and go on with a Writer that is resumed, unless end is
// 0, with the record behind id.
func Last(f Format, file io.ReaderAt, size int64) (id accounting.Key, end int64, err error) {
	if !f.Resumable() {
		return id, 0, fmt.Errorf("%w: %s is written in parts", ErrResume, f)
	}
	from := max(0, size-2*maxExported)
	tail := make([]byte, size-from)
	if n, err := file.ReadAt(tail, from); n < len(tail) {
		return id, 0, fmt.Errorf("reading what was exported: %w", err)
	}
	cut := bytes.LastIndexByte(tail, '\n')
	if cut < 0 {
		if from > 0 {
			return id, 0, fmt.Errorf("%w: a line is longer than %d octets", ErrResume, maxExported)
		}
		return id, 0, nil
	}
	end = from + int64(cut) + 1
	begin := bytes.LastIndexByte(tail[:cut], '\n') + 1
	if begin == 0 && from > 0 {
		return id, 0, fmt.Errorf("%w: a line is longer than %d octets", ErrResume, maxExported)
	}
	line := tail[begin:cut]
	if f == JSONLines {
		r, err := ReadRecord(line)
		if err != nil {
			return id, 0, fmt.Errorf("%w: its last line: %w", ErrResume, err)
		}
		return r.ID, end, nil
	}
	if err := sameColumns(file, size); err != nil {
		return id, 0, err
	}
	if from == 0 && begin == 0 {
		return id, end, nil // the names of the columns alone
	}
	fields, err := csvLine(line)
	if err == nil && len(fields) != len(columns) {
		err = fmt.Errorf("%d columns", len(fields))
	}
	if err == nil {
		err = id.UnmarshalText([]byte(fields[0]))
	}
	if err != nil {
		return accounting.Key{}, 0, fmt.Errorf("%w: its last line: %w", ErrResume, err)
	}
	return id, end, nil
}

// sameColumns checks the first line: the export of an earlier program may
// have fewer columns.
func sameColumns(file io.ReaderAt, size int64) error {
	head := make([]byte, min(size, maxExported))
	if n, err := file.ReadAt(head, 0); n < len(head) {
		return fmt.Errorf("reading what was exported: %w", err)
	}
	line, _, _ := bytes.Cut(head, []byte("\n"))
	if names, err := csvLine(line); err != nil || !slices.Equal(names, columns) {
		return fmt.Errorf("%w: its columns are others", ErrResume)
	}
	return nil
}

func csvLine(line []byte) ([]string, error) { return csv.NewReader(bytes.NewReader(line)).Read() }
