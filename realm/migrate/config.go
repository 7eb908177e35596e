package migrate

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/roamgate/roamgate/realm"
)

// Config is a configuration to be written: the main file, the routing files
// and the secrets.
type Config struct {
	Main   *Node // roamgate.yaml
	Realms []RoutingFile

	secrets map[string][]byte // by file name
}

// RoutingFile is one file of the routing directory.
type RoutingFile struct {
	Name string // "10-clients.yaml"
	Root *Node
}

// NewConfig makes an empty configuration.
func NewConfig() *Config {
	return &Config{Main: &Node{kind: mapping}, secrets: make(map[string][]byte)}
}

// Realm returns the routing file of a name, which it makes.
func (c *Config) Realm(name string) *Node {
	for _, f := range c.Realms {
		if f.Name == name {
			return f.Root
		}
	}
	root := &Node{kind: mapping}
	c.Realms = append(c.Realms, RoutingFile{name, root})
	return root
}

// Secret keeps a shared secret in a file of its own and returns the path that
// a routing file names it by. The name is one that Names made. A secret that
// no file can hold is refused.
func (c *Config) Secret(name string, secret []byte) (path string, err error) {
	if len(secret) == 0 {
		return "", errors.New("the secret is empty")
	}
	if bytes.HasSuffix(secret, []byte("\r")) {
		return "", errors.New("the secret ends with a carriage return, which a file of ours cannot hold")
	}
	if had, taken := c.secrets[name]; taken && !bytes.Equal(had, secret) {
		return "", fmt.Errorf("two secrets are called %s", name)
	}
	c.secrets[name] = bytes.Clone(secret)
	return "../secrets/" + name, nil
}

// Write makes the directory, which must be empty or new, and writes all files
// into it: roamgate.yaml, realms/ and secrets/. What stands there already is
// never overwritten.
func (c *Config) Write(dir string) error {
	if err := c.write(dir); err != nil {
		return fmt.Errorf("writing the configuration to %s: %w", dir, err)
	}
	return nil
}

func (c *Config) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	switch {
	case err != nil:
		return err
	case len(entries) > 0:
		return errors.New("the directory is not empty: what is there is not overwritten")
	}
	for name, mode := range map[string]fs.FileMode{"realms": 0o755, "secrets": 0o700} {
		if err := os.Mkdir(filepath.Join(dir, name), mode); err != nil {
			return err
		}
	}
	for name, secret := range c.secrets {
		if err := writeNew(filepath.Join(dir, "secrets", name), 0o600, append(bytes.Clone(secret), '\n')); err != nil {
			return err
		}
	}
	for _, f := range c.Realms {
		if err := writeNew(filepath.Join(dir, "realms", f.Name), 0o644, f.Root.Bytes()); err != nil {
			return err
		}
	}
	return writeNew(filepath.Join(dir, "roamgate.yaml"), 0o644, c.Main.Bytes())
}

func writeNew(path string, mode fs.FileMode, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

type nodeKind uint8

const (
	mapping nodeKind = iota
	sequence
	scalar
)

// Node is a part of a YAML file: a mapping, a list, or a value. Keys stand in
// the order in which they were set.
type Node struct {
	kind  nodeKind
	key   string // in a mapping
	value string // of a scalar, as it is written
	above []string
	from  string // comment behind it
	subs  []*Node
}

// Comment adds a line of comment above the node; on a file's root, above the
// file.
func (n *Node) Comment(format string, args ...any) *Node {
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		n.above = append(n.above, Printable(line))
	}
	return n
}

// Map returns the mapping of a key, which it makes.
func (n *Node) Map(key string) *Node { return n.sub(mapping, key) }

// List returns the list of a key, which it makes.
func (n *Node) List(key string) *Node { return n.sub(sequence, key) }

func (n *Node) sub(kind nodeKind, key string) *Node {
	for _, s := range n.subs {
		if s.key == key {
			return s
		}
	}
	s := &Node{kind: kind, key: key}
	n.subs = append(n.subs, s)
	return s
}

// Item adds a mapping to a list.
func (n *Node) Item() *Node {
	s := &Node{kind: mapping}
	n.subs = append(n.subs, s)
	return s
}

// Value adds a value to a list, with a comment behind it.
func (n *Node) Value(v any, from string) {
	n.subs = append(n.subs, &Node{kind: scalar, value: text(v), from: Printable(from)})
}

// Set sets a key to a value: a string, bool, number or duration. from is the
// comment behind it, "" none.
func (n *Node) Set(key string, v any, from string) {
	s := n.sub(scalar, key)
	s.value, s.from = text(v), Printable(from)
}

// Has reports whether a key is set.
func (n *Node) Has(key string) bool {
	return slices.ContainsFunc(n.subs, func(s *Node) bool { return s.key == key })
}

// From is the comment that says where a line comes from.
func From(pos realm.Pos) string { return "from " + At(pos) }

func text(v any) string {
	switch v := v.(type) {
	case string:
		return Quote(v)
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case time.Duration:
		return duration(v)
	}
	return Quote(fmt.Sprint(v))
}

// duration writes 90s and not 1m30s, 10m and not 10m0s.
func duration(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	case d%time.Minute == 0:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "m"
	case d%time.Second == 0:
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	return strconv.FormatInt(int64(d/time.Millisecond), 10) + "ms"
}

// Quote writes a string so that it is read back as it is: plain where it is
// made of ordinary characters, else in double quotes, or in single ones where
// those would need escapes.
func Quote(s string) string {
	if isPlain(s) {
		return s
	}
	if utf8.ValidString(s) && Printable(s) == s && !strings.ContainsRune(s, '\t') {
		if !strings.ContainsAny(s, "\"\\") {
			return `"` + s + `"` // as roamgate fmt does
		}
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); {
		c, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == utf8.RuneError && size == 1, c < ' ', c == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case Printable(string(c)) != string(c):
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteRune(c)
		}
		i += size
	}
	b.WriteByte('"')
	return b.String()
}

func isPlain(s string) bool {
	if s == "" || s[0] == '-' || s[0] == '.' {
		return false
	}
	switch strings.ToLower(s) {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n":
		return false // text here, another type to other readers
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9',
			c == '.', c == '-', c == '_', c == '/', c == ' ' && i > 0 && i < len(s)-1:
		default:
			return false
		}
	}
	return true
}

// Bytes is the node as a file.
func (n *Node) Bytes() []byte {
	var b bytes.Buffer
	comments(&b, "", n.above)
	for i, s := range n.subs {
		if i > 0 || len(n.above) > 0 {
			b.WriteByte('\n')
		}
		s.write(&b, "")
	}
	return b.Bytes()
}

func comments(b *bytes.Buffer, indent string, lines []string) {
	for _, line := range lines {
		b.WriteString(strings.TrimRight(indent+"# "+line, " ") + "\n")
	}
}

// write writes a key of a mapping.
func (n *Node) write(b *bytes.Buffer, indent string) {
	comments(b, indent, n.above)
	switch {
	case n.kind == scalar:
		n.line(b, indent+n.key+": ")
	case len(n.subs) == 0:
		b.WriteString(indent + n.key + map[nodeKind]string{mapping: ": {}\n", sequence: ": []\n"}[n.kind])
	default:
		b.WriteString(indent + n.key + ":\n")
		for _, s := range n.subs {
			if n.kind == mapping {
				s.write(b, indent+"  ")
			} else {
				s.item(b, indent+"  ")
			}
		}
	}
}

// item writes an element of a list.
func (n *Node) item(b *bytes.Buffer, indent string) {
	comments(b, indent, n.above)
	if n.kind == scalar {
		n.line(b, indent+"- ")
		return
	}
	var body bytes.Buffer
	for i, s := range n.subs {
		if i == 0 { // a comment cannot stand between the dash and the key
			comments(b, indent, s.above)
			bare := *s
			bare.above, s = nil, &bare
		}
		s.write(&body, indent+"  ")
	}
	text := body.Bytes()
	if len(text) == 0 {
		b.WriteString(indent + "- {}\n")
		return
	}
	b.WriteString(indent + "- ")
	b.Write(text[len(indent)+2:])
}

func (n *Node) line(b *bytes.Buffer, text string) {
	text += n.value
	if n.from != "" {
		text += " # " + n.from
	}
	b.WriteString(text + "\n")
}

// Items returns the parts of a list or mapping.
func (n *Node) Items() []*Node { return n.subs }

// Take makes another node, with its key, the last part of this one.
func (n *Node) Take(sub *Node) { n.subs = append(n.subs, sub) }
