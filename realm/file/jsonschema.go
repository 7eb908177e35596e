package file

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"
)

// RoutingSchema is Schema for the routing files.
func RoutingSchema(title string, describe map[string]string) []byte {
	return Schema(title, entries{}, describe)
}

// Schema gives a JSON Schema (2020-12) of the files that Decode reads into such
// a struct, for editors and reviews. Keys, what is required and what a value may
// look like come from the struct, so what the schema refuses Decode refuses too;
// what depends on other values only check knows. describe has descriptions by
// the path of a key, as Comments gives them.
func Schema(title string, of any, describe map[string]string) []byte {
	s := schemer{describe: describe}
	root := s.object(reflect.TypeOf(of), "")
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = title
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("file: " + err.Error()) // maps, lists and texts
	}
	return append(out, '\n')
}

type schemer struct{ describe map[string]string }

type schema = map[string]any

// ownSchema is a value that reads itself and says what it reads.
type ownSchema interface {
	schema(s *schemer, path string) schema
}

func (s *schemer) object(t reflect.Type, path string) schema {
	properties, required := schema{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("yaml")
		name, opt, _ := strings.Cut(tag, ",")
		if !ok || name == "-" || opt == "pos" || !f.IsExported() {
			continue
		}
		key := name
		if path != "" {
			key = path + "." + name
		}
		v := s.of(f.Type, key)
		if words := f.Tag.Get("words"); words != "" {
			v = withWords(f.Type, strings.Split(words, "|"))
		}
		if text := s.describe[key]; text != "" {
			v["description"] = text
		}
		properties[name] = v
		if opt == "required" {
			required = append(required, name)
		}
	}
	out := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// withWords is a word of a closed set, or a list of such words.
func withWords(t reflect.Type, words []string) schema {
	one := schema{"enum": words}
	if t.Kind() == reflect.Slice {
		return listOf(one, true)
	}
	return one
}

// of describes a type. A section may be empty; a list of values may be one
// value.
func (s *schemer) of(t reflect.Type, path string) schema {
	if o, ok := reflect.New(t).Interface().(ownSchema); ok {
		return o.schema(s, path)
	}
	switch {
	case isScalar(t):
		return scalarSchema(t)
	case t.Kind() == reflect.Pointer:
		return s.of(t.Elem(), path)
	case t.Kind() == reflect.Slice:
		one := s.of(t.Elem(), path)
		return listOf(one, one["type"] != "object")
	case t.Kind() == reflect.Map:
		return schema{"type": []string{"object", "null"}, "additionalProperties": s.of(t.Elem(), path)}
	}
	out := s.object(t, path)
	if out["required"] == nil {
		out["type"] = []string{"object", "null"}
	}
	return out
}

func listOf(one schema, single bool) schema {
	if types, ok := one["type"].([]string); ok && slices.Contains(types, "object") {
		one["type"], single = "object", false
	}
	list := schema{"type": []string{"array", "null"}, "items": one}
	if !single {
		return list
	}
	return schema{"anyOf": []any{one, list}}
}

// scalarSchema describes a value as editors see it: to them 26201 is a number,
// whatever the key wants.
func scalarSchema(t reflect.Type) schema {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return schema{"type": "string", "pattern": `^([0-9]+(\.[0-9]*)?(ns|us|ms|s|m|h))+$`}
	case reflect.TypeFor[Size]():
		return schema{"type": []string{"string", "integer"}, "pattern": "^[0-9]+ *([KMGT]i?B|B)?$"}
	case reflect.TypeFor[netip.Addr](), reflect.TypeFor[netip.AddrPort](), reflect.TypeFor[netip.Prefix]():
		return schema{"type": "string"}
	}
	if reflect.PointerTo(t).Implements(textType) {
		return schema{"type": []string{"string", "number"}}
	}
	switch k := t.Kind(); {
	case k == reflect.Bool:
		return schema{"type": "boolean"}
	case k >= reflect.Int && k <= reflect.Int64:
		return schema{"type": "integer"}
	case k >= reflect.Uint && k <= reflect.Uint64:
		return schema{"type": "integer", "minimum": 0}
	case k == reflect.Float32 || k == reflect.Float64:
		return schema{"type": "number"}
	}
	return schema{"type": []string{"string", "number", "boolean"}}
}

func (a *at[T]) schema(s *schemer, path string) schema { return s.of(reflect.TypeFor[T](), path) }

func (a *homeAddress) schema(*schemer, string) schema { return schema{"type": "string"} }

func (p *port) schema(*schemer, string) schema {
	return schema{"anyOf": []any{schema{"const": "none"}, schema{"type": "integer", "minimum": 1, "maximum": 65535}}}
}

func (m *memberEntry) schema(s *schemer, path string) schema {
	return schema{"anyOf": []any{schema{"type": "string"}, s.object(reflect.TypeFor[memberKeys](), path)}}
}

func (m *peerMember) schema(s *schemer, path string) schema {
	return schema{"anyOf": []any{schema{"type": "string"}, s.object(reflect.TypeFor[peerKeys](), path)}}
}

func (r *screenRule) schema(s *schemer, path string) schema {
	words := strings.Split("off|detect|drop|answer", "|")
	return schema{"anyOf": []any{schema{"enum": words}, s.object(reflect.TypeFor[screenKeys](), path)}}
}

func (d *diameterEntry) schema(s *schemer, path string) schema {
	return schema{"anyOf": []any{schema{"type": "string"}, s.object(reflect.TypeFor[diameterKeys](), path)}}
}

// Comments gives what the comments beside the keys of a plain file say, by the
// path of each key: keys joined by dots, lists left out, such as clients.country.
// A comment goes on in the lines below it, in its column, that are nothing but
// comment or an entry of the key's list. Of several comments for one path the
// first counts.
func Comments(data []byte) map[string]string {
	text := string(even(data))
	t, _, _, ok := readPlain(text)
	if !ok || len(t) == 0 {
		return nil
	}
	c := commented{tree: t, lines: strings.Split(text, "\n"), said: make(map[string]string)}
	c.walk(0, "")
	return c.said
}

type commented struct {
	tree  tree
	lines []string
	said  map[string]string
}

func (c *commented) walk(i int, path string) {
	n := c.tree[i]
	for at := i + 1; at < int(n.end); at = int(c.tree[at].end) {
		if n.kind == kindSequence {
			c.walk(at, path)
			continue
		}
		key := c.tree[at].text
		if path != "" {
			key = path + "." + key
		}
		line := int(c.tree[at].line)
		last := line
		if v := c.tree[at+1]; v.kind == kindSequence && int(v.end) > at+2 && c.tree[at+2].kind == kindScalar {
			last = int(c.tree[v.end-1].line) // what is deeper has comments of its own
		}
		c.note(key, line, last)
		at++
		c.walk(at, key)
	}
}

// note keeps the comment that begins in one of the lines.
func (c *commented) note(key string, first, last int) {
	if c.said[key] != "" {
		return
	}
	for line := first; line <= last; line++ {
		comment, at := commentOf(c.lines[line-1])
		if comment == "" || at == indentOf(c.lines[line-1]) {
			continue
		}
		var words []string
		for ; comment != ""; line++ {
			words = append(words, strings.TrimSpace(strings.TrimLeft(comment, "#")))
			if line >= len(c.lines) {
				break
			}
			next, column := commentOf(c.lines[line])
			front := strings.TrimSpace(c.lines[line][:column])
			if comment = next; column != at || front != "" && (front[0] != '-' || line >= last) {
				comment = "" // another key's
			}
		}
		c.said[key] = strings.Join(words, " ")
		return
	}
}
