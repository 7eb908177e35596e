package freediameter

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/migrate"
)

// Files is where configurations stand.
type Files interface {
	Read(path string) ([]byte, error)
	Glob(pattern string) ([]string, error)
}

// Disk is the file system.
type Disk struct{}

// Bounds of what is read.
const (
	maxFile       = 16 << 20
	maxNested     = 5 // as the original has
	maxFiles      = 1024
	maxDirectives = 20_000
)

// Read reads a file of a bounded size.
func (Disk) Read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s is larger than 16 MiB", path)
	}
	return b, err
}

// Glob gives the files that a pattern names, sorted.
func (Disk) Glob(pattern string) ([]string, error) { return filepath.Glob(pattern) }

// Config is what the files of a freeDiameter say.
type Config struct {
	path       string
	directives []*directive
	connects   []*connect
	extensions []*extension
	allowed    []*allowed
	rules      []*rule
	lacking    []*extension // whose file could not be read
}

// directive is one of the main file, or of a peer.
type directive struct {
	pos    realm.Pos
	name   string // as the original's documentation writes it
	val    string
	second string // of TLS_Cred
	n      int
}

// connect is a ConnectPeer.
type connect struct {
	pos    realm.Pos
	id     string
	params []*directive
}

// extension is a LoadExtension.
type extension struct {
	pos    realm.Pos
	name   string // without its directory and .fdx
	config string
}

type shape uint8

const (
	flag shape = iota
	ofText
	ofNumber
	ofFiles
	ofExtension
	ofPeer
)

// key is a directive that may stand in the main file, in a peer or in both.
type key struct {
	name       string
	shape      shape
	main, peer bool
	low, high  int // of numbers
}

var keys = map[string]key{}

func init() {
	const most = 1<<31 - 1
	for _, k := range []key{
		{"Identity", ofText, true, false, 0, 0}, {"Realm", ofText, true, true, 0, 0},
		{"Port", ofNumber, true, true, 0, 65535}, {"SecPort", ofNumber, true, false, 0, 65535},
		{"No_IP", flag, true, true, 0, 0}, {"No_IPv6", flag, true, true, 0, 0},
		{"No_TCP", flag, true, true, 0, 0}, {"No_SCTP", flag, true, true, 0, 0},
		{"Prefer_TCP", flag, true, true, 0, 0}, {"TLS_old_method", flag, true, true, 0, 0},
		{"No_TLS", flag, false, true, 0, 0}, {"SCTP_streams", ofNumber, true, false, 1, 65535},
		{"AppServThreads", ofNumber, true, false, 1, 255}, {"ThreadsPerServer", ofNumber, true, false, 1, most},
		{"RoutingInThreads", ofNumber, true, false, 1, 255}, {"RoutingOutThreads", ofNumber, true, false, 1, 255},
		{"ListenOn", ofText, true, false, 0, 0}, {"ConnectTo", ofText, false, true, 0, 0},
		{"TcTimer", ofNumber, true, true, 1, most}, {"TwTimer", ofNumber, true, true, 6, most},
		{"NoRelay", flag, true, false, 0, 0}, {"LoadExtension", ofExtension, true, false, 0, 0},
		{"ConnectPeer", ofPeer, true, false, 0, 0}, {"TLS_Cred", ofFiles, true, false, 0, 0},
		{"TLS_CA", ofText, true, false, 0, 0}, {"TLS_CRL", ofText, true, false, 0, 0},
		{"TLS_Prio", ofText, true, true, 0, 0}, {"TLS_DH_Bits", ofNumber, true, false, 1, most},
		{"TLS_DH_File", ofText, true, false, 0, 0},
	} {
		keys[strings.ToLower(k.name)] = k
	}
}

// parser reads the main file and what it includes.
type parser struct {
	*Config
	files Files
	read  int
	lexer
	tok token
}

// Parse reads freeDiameter.conf, and the files of acl_wl and rt_default that it names.
func Parse(files Files, path string) (*Config, error) {
	p := &parser{Config: &Config{path: path}, files: files}
	if err := p.file(path, 0); err != nil {
		return nil, err
	}
	if err := p.settle(); err != nil {
		return nil, err
	}
	for _, e := range p.extensions {
		if e.name != "acl_wl" && e.name != "rt_default" {
			continue
		}
		raw, where, err := p.extensionFile(e.config)
		switch {
		case err != nil:
			p.lacking = append(p.lacking, e)
		case e.name == "acl_wl":
			p.allow(where, string(raw))
		default:
			if err := p.route(where, string(raw)); err != nil {
				return nil, err
			}
		}
	}
	return p.Config, nil
}

// extensionFile reads a file beside the main one, or where it says.
func (p *parser) extensionFile(name string) (raw []byte, where string, err error) {
	where = name
	if !filepath.IsAbs(name) {
		where = filepath.Join(filepath.Dir(p.path), name)
	}
	raw, err = p.files.Read(where)
	return raw, where, err
}

func (p *parser) file(path string, depth int) error {
	if p.read++; p.read > maxFiles {
		return fmt.Errorf("%s: more than %d files are included", path, maxFiles)
	}
	raw, err := p.files.Read(path)
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	outer, tok := p.lexer, p.tok
	p.lexer = lexer{in: string(raw), file: path, line: 1}
	err = p.statements(depth)
	p.lexer, p.tok = outer, tok
	return err
}

func (p *parser) advance() (err error) {
	p.tok, err = p.next()
	return err
}

func (p *parser) statements(depth int) error {
	for {
		if err := p.advance(); err != nil {
			return err
		}
		if p.tok.kind == endOfFile {
			return nil
		}
		if p.tok.kind == word && p.tok.val == "include" {
			if err := p.include(depth); err != nil {
				return err
			}
			continue
		}
		if err := p.statement(); err != nil {
			return err
		}
	}
}

func (p *parser) include(depth int) error {
	pos := p.tok.pos
	if err := p.take(text); err != nil {
		return err
	}
	if depth >= maxNested {
		return migrate.Refuse(pos, "files include each other more than %d deep", maxNested)
	}
	pattern := p.tok.val
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(p.path), pattern)
	}
	found, err := p.files.Glob(pattern)
	if err != nil {
		return migrate.Refuse(pos, "%q is no pattern of files", p.tok.val)
	}
	for _, f := range found {
		if err := p.file(f, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// take reads a token that must be of a kind.
func (p *parser) take(want kind) error {
	if err := p.advance(); err != nil {
		return err
	}
	if p.tok.kind != want {
		return p.unexpected(map[kind]string{text: "text in quotes", number: "a number"}[want])
	}
	return nil
}

func (p *parser) takeMark(want string) error {
	if err := p.advance(); err != nil {
		return err
	}
	if p.tok.kind != mark || p.tok.val != want {
		return p.unexpected(want)
	}
	return nil
}

func (p *parser) unexpected(want string) error {
	got := p.tok.val
	if p.tok.kind == endOfFile {
		got = "the end of the file"
	}
	return migrate.Refuse(p.tok.pos, "%s is expected, not %q", want, got)
}

func (p *parser) statement() error {
	k, known := keys[strings.ToLower(p.tok.val)]
	pos := p.tok.pos
	if p.tok.kind != word || !known || !k.main {
		return migrate.Refuse(pos, "unrecognized text %q", p.tok.val)
	}
	if len(p.directives)+len(p.connects)+len(p.extensions) >= maxDirectives {
		return fmt.Errorf("%s: more than %d directives", migrate.At(pos), maxDirectives)
	}
	switch k.shape {
	case ofExtension:
		return p.extension(pos)
	case ofPeer:
		return p.connect(pos)
	}
	d, err := p.value(k, pos)
	p.directives = append(p.directives, d)
	return err
}

// value reads a directive behind its name.
func (p *parser) value(k key, pos realm.Pos) (*directive, error) {
	d := &directive{pos: pos, name: k.name}
	if k.shape == flag {
		return d, p.takeMark(";")
	}
	if err := p.takeMark("="); err != nil {
		return d, err
	}
	want := text
	if k.shape == ofNumber {
		want = number
	}
	if err := p.take(want); err != nil {
		return d, err
	}
	d.val, d.n = p.tok.val, p.tok.n
	if k.shape == ofNumber && (d.n < k.low || d.n > k.high) {
		return d, migrate.Refuse(p.tok.pos, "%s: %d is not between %d and %d", k.name, d.n, k.low, k.high)
	}
	if k.shape == ofFiles {
		if err := p.takeMark(","); err != nil {
			return d, err
		}
		if err := p.take(text); err != nil {
			return d, err
		}
		d.second = p.tok.val
	}
	return d, p.takeMark(";")
}

func (p *parser) extension(pos realm.Pos) error {
	if err := p.takeMark("="); err != nil {
		return err
	}
	if err := p.take(text); err != nil {
		return err
	}
	e := &extension{pos: pos, name: strings.TrimSuffix(filepath.Base(p.tok.val), ".fdx")}
	p.extensions = append(p.extensions, e)
	if err := p.advance(); err != nil {
		return err
	}
	if p.tok.kind == mark && p.tok.val == ":" {
		if err := p.take(text); err != nil {
			return err
		}
		e.config = p.tok.val
		return p.takeMark(";")
	}
	if p.tok.kind != mark || p.tok.val != ";" {
		return p.unexpected(";")
	}
	return nil
}

func (p *parser) connect(pos realm.Pos) error {
	if err := p.takeMark("="); err != nil {
		return err
	}
	if err := p.take(text); err != nil {
		return err
	}
	c := &connect{pos: pos, id: p.tok.val}
	if slices.ContainsFunc(p.connects, func(o *connect) bool { return strings.EqualFold(o.id, c.id) }) {
		return migrate.Refuse(pos, "ConnectPeer %q stands twice", c.id)
	}
	p.connects = append(p.connects, c)
	if err := p.advance(); err != nil {
		return err
	}
	if p.tok.kind == mark && p.tok.val == "{" {
		for {
			if err := p.advance(); err != nil {
				return err
			}
			if p.tok.kind == mark && p.tok.val == "}" {
				return p.takeMark(";")
			}
			k, known := keys[strings.ToLower(p.tok.val)]
			if p.tok.kind != word || !known || !k.peer {
				return p.unexpected("a parameter of the peer or }")
			}
			if len(c.params) >= maxDirectives {
				return fmt.Errorf("%s: more than %d parameters", migrate.At(pos), maxDirectives)
			}
			d, err := p.value(k, p.tok.pos)
			c.params = append(c.params, d)
			if err != nil {
				return err
			}
		}
	}
	if p.tok.kind != mark || p.tok.val != ";" {
		return p.unexpected(";")
	}
	return nil
}

// settle holds directives against each other, as the original does.
func (p *parser) settle() error {
	for _, no := range [][2]string{{"No_TCP", "No_SCTP"}, {"No_IP", "No_IPv6"}} {
		for _, c := range append([]*connect{{}}, p.connects...) {
			a, b := p.either(c, no[0]), p.either(c, no[1])
			if a != nil && b != nil {
				return migrate.Refuse(b.pos, "%s conflicts with %s", no[0], no[1])
			}
		}
	}
	return nil
}

// get gives the last directive of a name, nil: none.
func get(all []*directive, name string) *directive {
	for _, d := range slices.Backward(all) {
		if d.name == name {
			return d
		}
	}
	return nil
}

// either is a directive of the peer, or that of the main file.
func (c *Config) either(of *connect, name string) *directive {
	if d := get(of.params, name); d != nil {
		return d
	}
	return get(c.directives, name)
}
