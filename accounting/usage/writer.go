package usage

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// Format names a form in which records are exported.
type Format string

const (
	JSONLines Format = "jsonl"   // one object a line: the whole record
	CSV       Format = "csv"     // RFC 4180, a line of column names first
	Parquet   Format = "parquet" // the columns of CSV, compressed
)

// Formats returns every Format.
func Formats() []Format { return []Format{JSONLines, CSV, Parquet} }

// Resumable says whether an export of this format that was cut off can be
// continued in the same file (Last). A file of Parquet is whole or nothing:
// export it in parts.
func (f Format) Resumable() bool { return f == JSONLines || f == CSV }

// Writer writes records. It belongs to one goroutine. After an error it is of
// no more use.
type Writer interface {
	Write(r *Record) error
	// Close writes what is held back. It does not close what is below.
	Close() error
}

// maxGroup is how many records of Parquet wait in memory for their group to
// be written: some 30 MB.
const maxGroup = 32 << 10

// NewWriter returns a Writer to w. resumed says that w continues what Last
// has looked at and found something in.
func NewWriter(f Format, w io.Writer, resumed bool) (Writer, error) {
	switch f {
	case JSONLines:
		b := bufio.NewWriterSize(w, 64<<10)
		enc := json.NewEncoder(b)
		enc.SetEscapeHTML(false)
		return &jsonWriter{b: b, enc: enc}, nil
	case CSV:
		return newCSVWriter(w, resumed)
	case Parquet:
		if resumed {
			return nil, fmt.Errorf("an export as %s cannot be continued: write the next part", f)
		}
		return newParquetWriter(w, maxGroup), nil
	}
	return nil, fmt.Errorf("no format %q: one of %v", f, Formats())
}

type jsonWriter struct {
	b   *bufio.Writer
	enc *json.Encoder
}

func (w *jsonWriter) Write(r *Record) error { return w.enc.Encode(r) }
func (w *jsonWriter) Close() error          { return w.b.Flush() }

type parquetWriter struct {
	w   *parquet.GenericWriter[row]
	row [1]row
}

func newParquetWriter(w io.Writer, group int64) *parquetWriter {
	return &parquetWriter{w: parquet.NewGenericWriter[row](w,
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault}),
		parquet.MaxRowsPerRowGroup(group),
		parquet.CreatedBy("roamgate", "1", ""),
		parquet.KeyValueMetadata("schema", strconv.Itoa(SchemaVersion)),
	)}
}

func (w *parquetWriter) Write(r *Record) error {
	w.row[0].set(r)
	_, err := w.w.Write(w.row[:])
	return err
}

func (w *parquetWriter) Close() error { return w.w.Close() }
