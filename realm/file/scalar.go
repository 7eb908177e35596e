package file

import (
	"encoding"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/roamgate/roamgate/realm"
)

// Size is a number of octets, written as 512, 64KiB, 64MiB or 1GiB; KB, MB and
// GB are powers of ten.
type Size int64

var sizeUnits = []struct {
	name string
	size int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

func parseSize(s string) (Size, bool) {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimRight(digits, " "), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.size {
			return 0, false
		}
		return Size(n * u.size), true
	}
	return 0, false
}

// at is a value that remembers where it stands.
type at[T any] struct {
	v    T
	line uint32
	col  uint32
}

func (a *at[T]) decodeNode(d *decoder, i int, key string) {
	a.line, a.col = d.tree[i].line, d.tree[i].col
	if text, ok := any(&a.v).(*string); ok && d.tree[i].kind == kindScalar { // most of a large file
		*text = d.tree[i].text
		return
	}
	failed := d.report.errors()
	d.into(i, &a.v, key)
	switch any(&a.v).(type) {
	case *time.Duration, *Size, *int, *uint16, *uint32, *float64:
		if d.report.errors() > failed {
			a.line = 0 // nothing more is said of its value
		}
	}
}

// set reports whether the key was there, with a value that could be read.
func (a *at[T]) set() bool { return a.line > 0 }

// there reports whether the key was there at all.
func (a *at[T]) there() bool { return a.col > 0 }

func (a *at[T]) pos(file string) realm.Pos {
	return realm.Pos{File: file, Line: int(a.line), Col: int(a.col)}
}

func (d *decoder) scalar(i int, v reflect.Value, key string) {
	text := d.tree[i].text
	switch out := v.Addr().Interface().(type) {
	case *string:
		*out = text
	case *bool:
		d.boolean(i, out, key)
	case *time.Duration:
		d.duration(i, out, key)
	case *Size:
		n, ok := parseSize(text)
		if !ok {
			d.fail(i, "write it as 512, 64KiB or 64MiB", "%s: %s is no size", key, quote(text))
		}
		*out = n
	case *netip.Addr:
		d.address(i, out, key)
	case *netip.AddrPort:
		a, err := netip.ParseAddrPort(text)
		if err != nil {
			d.fail(i, "write it as 192.0.2.1:1812 or [2001:db8::1]:1812", "%s: %s is no address and port", key, quote(text))
		}
		*out = a
	case *netip.Prefix:
		p, ok := parsePrefix(text)
		if !ok {
			d.fail(i, addressHint(text, "write it as 192.0.2.0/24 or 2001:db8::/48"), "%s: %s is no address or prefix", key, quote(text))
		}
		*out = p
	case encoding.TextUnmarshaler:
		if err := out.UnmarshalText([]byte(text)); err != nil {
			d.fail(i, "", "%s: %s", key, err)
		}
	default:
		d.number(i, v, key)
	}
}

func (d *decoder) boolean(i int, out *bool, key string) {
	switch text := d.tree[i].text; text {
	case "true":
		*out = true
	case "false":
		*out = false
	default:
		d.fail(i, "write true or false", "%s: %s is neither true nor false", key, quote(text))
	}
}

func (d *decoder) duration(i int, out *time.Duration, key string) {
	text := d.tree[i].text
	t, err := time.ParseDuration(text)
	switch {
	case err != nil:
		hint := "write it as 500ms, 5s or 2m"
		if _, err := strconv.ParseUint(text, 10, 32); err == nil {
			hint = "a unit is missing: " + text + "s or " + text + "ms"
		}
		d.fail(i, hint, "%s: %s is no duration", key, quote(text))
	case t < 0:
		d.fail(i, "", "%s: %s is negative", key, quote(text))
	default:
		*out = t
	}
}

func (d *decoder) address(i int, out *netip.Addr, key string) {
	text := d.tree[i].text
	a, err := netip.ParseAddr(text)
	if err != nil {
		d.fail(i, addressHint(text, "write it as 192.0.2.1 or 2001:db8::1"), "%s: %s is no IP address", key, quote(text))
		return
	}
	*out = a
}

func (d *decoder) number(i int, v reflect.Value, key string) {
	text := d.tree[i].text
	var err error
	switch k := v.Kind(); {
	case k == reflect.String:
		v.SetString(text)
		return
	case k >= reflect.Int && k <= reflect.Int64:
		var n int64
		if n, err = strconv.ParseInt(text, 10, v.Type().Bits()); err == nil {
			v.SetInt(n)
		}
	case k >= reflect.Uint && k <= reflect.Uint64:
		var n uint64
		if n, err = strconv.ParseUint(text, 10, v.Type().Bits()); err == nil {
			v.SetUint(n)
		}
	case k == reflect.Float32 || k == reflect.Float64:
		var n float64
		n, err = strconv.ParseFloat(text, v.Type().Bits())
		if err == nil && (math.IsNaN(n) || math.IsInf(n, 0)) {
			err = strconv.ErrRange
		}
		if err == nil {
			v.SetFloat(n)
		}
	default: // a named bool
		var b bool
		d.boolean(i, &b, key)
		v.SetBool(b)
		return
	}
	if err != nil {
		d.fail(i, "", "%s: %s is no number in its range", key, quote(text))
	}
}

// parsePrefix reads a prefix or a single address.
func parsePrefix(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, true
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}

// addressHint tells the ways apart in which a text fails to be an address.
func addressHint(text, otherwise string) string {
	if _, err := netip.ParseAddrPort(text); err == nil {
		return "the port has a key of its own"
	}
	for i := range len(text) {
		if c := text[i] | 0x20; c > 'f' && c <= 'z' {
			return "names are not resolved; write the IP address"
		}
	}
	return otherwise
}
