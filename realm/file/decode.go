package file

import (
	"encoding"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/roamgate/roamgate/realm"
)

// Decode reads one file into out, a pointer to a struct, and says everything
// that is wrong with it. name is used in messages; data is not retained. Where
// Problems has an error, out is partly filled.
//
// Fields take the key of their yaml tag; a field without one is left alone.
// `yaml:"name,required"` wants the key to be there, a realm.Pos tagged
// `yaml:",pos"` receives the position of the struct's value. Nested structs,
// pointers, lists, maps with string keys, strings, booleans, integers, floats,
// time.Duration ("5s"), Size ("64MiB"), netip.Addr, AddrPort and Prefix, and
// encoding.TextUnmarshaler are understood. A single value is accepted where a
// list is wanted. A key that is not there leaves its field as it is, so out
// comes with its defaults; elements of lists get theirs from a method
// SetDefaults(). Unknown and repeated keys are errors; for a key it knows to be
// wrong, a struct may say so by KeyHint. Texts in out share one copy of the file.
func Decode(name string, data []byte, out any) Problems {
	r := &report{}
	if d := parse(r, name, data); d != nil {
		d.decode(r, out)
	}
	return r.problems()
}

// Decode fills out from the document; see the function Decode.
func (d *Document) Decode(out any) Problems {
	r := &report{}
	d.decode(r, out)
	return r.problems()
}

func (d *Document) decode(r *report, out any) {
	v := reflect.ValueOf(out)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		panic("file: Decode wants a pointer to a struct")
	}
	if d.Empty() {
		return
	}
	dec := decoder{name: d.name, tree: d.tree, report: r}
	dec.into(0, out, "")
}

// KeyHinter is implemented by structs that know keys which are often tried in
// vain. An empty text means the key is simply unknown.
type KeyHinter interface {
	KeyHint(key string) (text, hint string)
}

type defaulter interface{ SetDefaults() }

// nodeDecoder is a value that reads itself.
type nodeDecoder interface {
	decodeNode(d *decoder, i int, key string)
}

type decoder struct {
	name   string
	tree   tree
	report *report
	// reuse lets lists take the place of those that out had before.
	reuse bool
}

func (d *decoder) pos(i int) realm.Pos { return d.tree.pos(d.name, i) }

func (d *decoder) fail(i int, hint, format string, args ...any) {
	d.report.add(d.pos(i), Error, hint, format, args...)
}

// value reads node i into v, whose plan is p; key is the key it stands under,
// for messages.
func (d *decoder) value(i int, v reflect.Value, p *plan, key string) {
	switch p.form {
	case formNode:
		v.Addr().Interface().(nodeDecoder).decodeNode(d, i, key)
	case formScalar:
		if d.want(i, kindScalar, key) {
			d.scalar(i, v, key)
		}
	case formStruct:
		if d.want(i, kindMapping, key) {
			d.structure(i, v, p)
		}
	case formList:
		d.list(i, v, p.elem, key)
	case formMap:
		d.table(i, v, p.elem, key)
	case formPointer:
		if v.IsNil() {
			v.Set(newOf(v.Type().Elem(), p.elem))
		}
		d.value(i, v.Elem(), p.elem, key)
	}
}

// want reports whether node i is of the kind, and says so if not. Nothing at
// all stands for an empty section, not for a value.
func (d *decoder) want(i int, k kind, key string) bool {
	switch got := d.tree[i].kind; {
	case got == k:
		return true
	case got == kindNull && k != kindScalar:
		return false
	case got == kindNull:
		d.fail(i, "leave the key out to keep its default", "%s has no value", subject(key))
	default:
		d.fail(i, "", "%s wants %s, not %s", subject(key), k, got)
	}
	return false
}

func subject(key string) string {
	if key == "" {
		return "the file"
	}
	return key
}

func (d *decoder) structure(i int, v reflect.Value, plan *plan) {
	if plan.pos >= 0 {
		*v.Field(plan.pos).Addr().Interface().(*realm.Pos) = d.pos(i)
	}
	var seen uint64
	for k := i + 1; k < int(d.tree[i].end); k = int(d.tree[k+1].end) {
		name := d.tree[k].text
		f := plan.find(name)
		if f < 0 {
			d.unknown(k, v, plan)
			continue
		}
		seen |= 1 << f
		d.value(k+1, v.Field(plan.fields[f].index), plan.fields[f].plan, name)
	}
	if missing := plan.required &^ seen; missing != 0 {
		for f := range plan.fields {
			if missing&(1<<f) != 0 {
				d.fail(i, "", "%s is missing", plan.fields[f].name)
			}
		}
	}
}

func (d *decoder) unknown(k int, v reflect.Value, plan *plan) {
	key := d.tree[k].text
	if h, ok := v.Addr().Interface().(KeyHinter); ok {
		if text, hint := h.KeyHint(key); text != "" {
			d.fail(k, hint, "%s", text)
			return
		}
	}
	d.fail(k, plan.hint(key), "unknown key %s", quote(key))
}

func (d *decoder) list(i int, v reflect.Value, elem *plan, key string) {
	n := d.tree[i]
	single := elem.form
	switch {
	case n.kind == kindNull:
		v.SetZero()
		return
	case n.kind == kindScalar && (single == formScalar || single == formNode):
		one := d.slice(v, 1)
		setDefaults(one.Index(0), elem)
		d.value(i, one.Index(0), elem, key)
		v.Set(one)
		return
	case !d.want(i, kindSequence, key):
		return
	}
	each := key
	if single == formStruct {
		each = "each of " + key
	}
	count := 0
	for at := i + 1; at < int(n.end); at = int(d.tree[at].end) {
		count++
	}
	out := d.slice(v, count)
	at := i + 1
	for e := range count {
		setDefaults(out.Index(e), elem)
		if d.tree[at].kind == kindNull {
			d.fail(at, "remove the dash", "%s has an empty entry", subject(key))
		} else {
			d.value(at, out.Index(e), elem, each)
		}
		at = int(d.tree[at].end)
	}
	v.Set(out)
}

// slice makes a list to go into v.
func (d *decoder) slice(v reflect.Value, n int) reflect.Value {
	if d.reuse && n <= v.Cap() {
		s := v.Slice(0, n)
		s.Clear()
		return s
	}
	return reflect.MakeSlice(v.Type(), n, n)
}

func (d *decoder) table(i int, v reflect.Value, elem *plan, key string) {
	if !d.want(i, kindMapping, key) {
		return
	}
	out := reflect.MakeMap(v.Type())
	for k := i + 1; k < int(d.tree[i].end); k = int(d.tree[k+1].end) {
		one := newOf(v.Type().Elem(), elem)
		name := d.tree[k].text
		d.value(k+1, one.Elem(), elem, name)
		out.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), one.Elem())
	}
	v.Set(out)
}

func newOf(t reflect.Type, p *plan) reflect.Value {
	v := reflect.New(t)
	setDefaults(v.Elem(), p)
	return v
}

func setDefaults(v reflect.Value, p *plan) {
	if p.defaults {
		v.Addr().Interface().(defaulter).SetDefaults()
	}
}

type form uint8

const (
	formScalar form = iota
	formStruct
	formList
	formMap
	formPointer
	formNode
)

// plan is what is known of a type; it is worked out once.
type plan struct {
	form     form
	defaults bool
	pos      int // index of the field for the position, -1
	required uint64
	fields   []field
	elem     *plan // of a list, map or pointer
}

type field struct {
	name  string
	index int
	plan  *plan
}

var plans sync.Map // reflect.Type -> *plan

var (
	nodeType      = reflect.TypeFor[nodeDecoder]()
	textType      = reflect.TypeFor[encoding.TextUnmarshaler]()
	defaulterType = reflect.TypeFor[defaulter]()
)

func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := planning{}.of(t)
	plans.Store(t, p)
	return p
}

// planning holds the plans of types that refer to each other.
type planning map[reflect.Type]*plan

func (ps planning) of(t reflect.Type) *plan {
	if p, ok := ps[t]; ok {
		return p
	}
	p := &plan{pos: -1, defaults: reflect.PointerTo(t).Implements(defaulterType)}
	ps[t] = p
	switch {
	case reflect.PointerTo(t).Implements(nodeType):
		p.form = formNode
	case isScalar(t):
		p.form = formScalar
	case t.Kind() == reflect.Struct:
		p.form = formStruct
		p.addFields(t, ps)
	case t.Kind() == reflect.Slice:
		p.form, p.elem = formList, ps.of(t.Elem())
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		p.form, p.elem = formMap, ps.of(t.Elem())
	case t.Kind() == reflect.Pointer:
		p.form, p.elem = formPointer, ps.of(t.Elem())
	default:
		panic("file: cannot decode into " + t.String())
	}
	return p
}

func isScalar(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[time.Duration](), reflect.TypeFor[netip.Addr](), reflect.TypeFor[netip.AddrPort](), reflect.TypeFor[netip.Prefix]():
		return true
	}
	k := t.Kind()
	return reflect.PointerTo(t).Implements(textType) ||
		k == reflect.String || k == reflect.Bool || k >= reflect.Int && k <= reflect.Uint64 ||
		k == reflect.Float32 || k == reflect.Float64
}

func (p *plan) addFields(t reflect.Type, ps planning) {
	for i := range t.NumField() {
		tag, ok := t.Field(i).Tag.Lookup("yaml")
		name, opt, _ := strings.Cut(tag, ",")
		switch {
		case !ok || name == "-" || !t.Field(i).IsExported():
		case opt == "pos":
			p.pos = i
		default:
			if len(p.fields) == 64 {
				panic("file: too many keys in " + t.String())
			}
			if opt == "required" {
				p.required |= 1 << len(p.fields)
			}
			p.fields = append(p.fields, field{name: name, index: i, plan: ps.of(t.Field(i).Type)})
		}
	}
}

func (p *plan) find(name string) int {
	for i := range p.fields {
		if p.fields[i].name == name {
			return i
		}
	}
	return -1
}

// hint helps with an unknown key.
func (p *plan) hint(key string) string {
	names := make([]string, len(p.fields))
	for i, f := range p.fields {
		names[i] = f.name
	}
	if n := nearest(key, names); n != "" {
		return "did you mean " + n + "?"
	}
	return "known keys: " + strings.Join(names, ", ")
}

// into reads node i into what out points to, which is not a field.
func (d *decoder) into(i int, out any, key string) {
	v := reflect.ValueOf(out).Elem()
	d.value(i, v, planOf(v.Type()), key)
}
