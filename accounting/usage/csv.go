package usage

import (
	"encoding/csv"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// columns are the names of row's fields.
var columns = func() []string {
	t := reflect.TypeFor[row]()
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("parquet"), ",")
	}
	return names
}()

// Columns returns the columns of CSV and Parquet in their order.
func Columns() []string { return append([]string(nil), columns...) }

type csvWriter struct {
	w    *csv.Writer
	row  row
	line []string
}

func newCSVWriter(w io.Writer, resumed bool) (*csvWriter, error) {
	c := &csvWriter{w: csv.NewWriter(w), line: make([]string, len(columns))}
	c.w.UseCRLF = true // RFC 4180 section 2
	if resumed {
		return c, nil
	}
	return c, c.w.Write(columns)
}

func (c *csvWriter) Write(r *Record) error {
	c.row.set(r)
	v := reflect.ValueOf(&c.row).Elem()
	for i := range c.line {
		c.line[i] = cell(v.Field(i))
	}
	return c.w.Write(c.line)
}

func (c *csvWriter) Close() error {
	c.w.Flush()
	return c.w.Error()
}

// cell is the text of one column.
func cell(v reflect.Value) string {
	switch v.Kind() {
	case reflect.String:
		return harmless(v.String())
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10)
	default: // the times: row has no other types
		return v.Interface().(time.Time).Format(time.RFC3339Nano)
	}
}

// harmless makes a text safe to open in a spreadsheet. A NAS chooses some of
// these texts, and one that begins like a formula would be computed on the
// desk of whoever opens the file: an apostrophe goes in front of it, and of
// one that begins with an apostrophe itself. Control characters become U+FFFD:
// CSV cannot escape them, and a record stays one line.
func harmless(s string) string {
	if s == "" {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return unicode.ReplacementChar
		}
		return r
	}, s)
	if strings.ContainsAny(firstRune(s), "=+-@'\uff1d\uff0b\uff0d\uff20") {
		return "'" + s
	}
	return s
}

func firstRune(s string) string {
	for _, r := range s {
		return string(r)
	}
	return ""
}
