package freediameter

import (
	"errors"
	"fmt"
	"strings"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/migrate"
)

// match is text that is compared as it is, or an expression.
type match struct {
	text string
	expr *migrate.ERE // nil: as it is
	dead error        // an expression that has no like here
}

func (m *match) takes(s string) bool {
	switch {
	case m.dead != nil:
		return false
	case m.expr != nil:
		return m.expr.Match([]byte(s))
	}
	return strings.EqualFold(m.text, s)
}

func (m *match) String() string {
	if m.expr != nil || m.dead != nil {
		return `["` + m.text + `"]`
	}
	return `"` + m.text + `"`
}

// rule is one of rt_default.
type rule struct {
	pos       realm.Pos
	criterion string // *, oh, or, dh, dr, un or si
	of        match
	byRealm   bool // the target is the realm of peers
	target    match
	score     int
	nodes     []*node // that the target is
}

func (r *rule) String() string {
	name := r.criterion
	if name != "*" {
		name += "=" + r.of.String()
	}
	if r.byRealm {
		return name + " : rlm=" + r.target.String()
	}
	return name + " : " + r.target.String()
}

// The scores of freeDiameter.
const (
	scoreInitial   = -2 // who has no more than that gets nothing
	scoreRealm     = 15
	scoreFinalDest = 100
)

var scores = map[string]int{
	"no_delivery": -70, "default": 5, "default_realm": 10, "realm": scoreRealm, "redir_host": 25, "redir_app": 30,
	"redir_realm": 35, "redir_realm_app": 40, "redir_user": 45, "redir_session": 50, "finaldest": scoreFinalDest,
}

// route reads the rules of rt_default.
func (p *parser) route(path, in string) error {
	q := &parser{Config: p.Config, lexer: lexer{in: in, file: path, line: 1, wide: true}}
	for {
		if err := q.advance(); err != nil {
			return err
		}
		if q.tok.kind == endOfFile {
			return nil
		}
		if len(p.rules) >= maxDirectives {
			return fmt.Errorf("%s: more than %d rules", path, maxDirectives)
		}
		if err := q.rule(); err != nil {
			return err
		}
	}
}

func (p *parser) rule() error {
	r := &rule{pos: p.tok.pos, criterion: strings.ToLower(p.tok.val)}
	switch {
	case p.tok.kind == mark && p.tok.val == "*":
	case p.tok.kind == word && strings.Contains(" oh or dh dr un si ", " "+r.criterion+" "):
		if err := p.takeMark("="); err != nil {
			return err
		}
		if err := p.match(&r.of); err != nil {
			return err
		}
	default:
		return p.unexpected("a criterion (*, oh, or, dh, dr, un, si)")
	}
	if err := p.takeMark(":"); err != nil {
		return err
	}
	if err := p.target(r); err != nil {
		return err
	}
	p.rules = append(p.rules, r)
	return p.sum(r)
}

func (p *parser) match(m *match) error {
	if err := p.advance(); err != nil {
		return err
	}
	return p.matched(m)
}

func (p *parser) matched(m *match) (err error) {
	m.text = p.tok.val
	switch p.tok.kind {
	case text:
		return nil
	case expression:
		m.expr, err = migrate.ParseERE(m.text)
		if errors.Is(err, migrate.ErrRefused) {
			return migrate.Refuse(p.tok.pos, "%v", err)
		}
		if err == nil {
			_, err = m.expr.RE2() // as the hub would have to take it
		}
		m.dead = err
		return nil
	}
	return p.unexpected("text in quotes")
}

func (p *parser) target(r *rule) error {
	if err := p.advance(); err != nil {
		return err
	}
	if r.byRealm = p.tok.kind == word && strings.EqualFold(p.tok.val, "rlm"); !r.byRealm {
		return p.matched(&r.target)
	}
	if err := p.takeMark("="); err != nil {
		return err
	}
	return p.match(&r.target)
}

// sum reads += and what is added.
func (p *parser) sum(r *rule) error {
	if err := p.takeMark("+"); err != nil {
		return err
	}
	if err := p.takeMark("="); err != nil {
		return err
	}
	for sign := 1; ; {
		if err := p.advance(); err != nil {
			return err
		}
		n, named := scores[strings.ToLower(p.tok.val)]
		switch {
		case p.tok.kind == number:
			n = p.tok.n
		case p.tok.kind != word || !named:
			return p.unexpected("a score")
		}
		r.score += sign * n
		if err := p.advance(); err != nil {
			return err
		}
		switch {
		case p.tok.kind == mark && p.tok.val == ";":
			return nil
		case p.tok.kind == mark && p.tok.val == "+":
			sign = 1
		case p.tok.kind == mark && p.tok.val == "-":
			sign = -1
		default:
			return p.unexpected(";")
		}
	}
}

// allowed is a name of acl_wl.
type allowed struct {
	pos           realm.Pos
	id            string
	plain, oldTLS bool
	unread        bool // no name that the original knows
}

// allow reads the names of acl_wl. What is none, the original passes over.
func (p *parser) allow(path, in string) {
	for n := 1; in != ""; n++ {
		var line string
		line, in, _ = strings.Cut(in, "\n")
		line, _, _ = strings.Cut(line, "#")
		flags := allowed{}
		for at := 0; at < len(line); {
			rest := strings.TrimLeft(line[at:], " \t\r\v\f")
			at = len(line) - len(rest)
			end := strings.IndexAny(rest, " \t\r\v\f")
			if end < 0 {
				end = len(rest)
			}
			name := rest[:end]
			pos := realm.Pos{File: path, Line: n, Col: at + 1}
			at += end
			switch {
			case name == "" || len(p.allowed) >= maxDirectives:
			case name == "ALLOW_IPSEC":
				flags.plain = true
			case name == "ALLOW_OLD_TLS":
				flags.oldTLS = true
			default:
				a := flags
				a.pos, a.id, a.unread = pos, name, !isName(strings.TrimPrefix(name, "*."))
				p.allowed = append(p.allowed, &a)
			}
		}
	}
}

// isHost reports whether s can be the identity of a peer.
func isHost(s string) bool { return strings.Contains(s, ".") && isName(s) }

// isName reports whether s is a name of labels.
func isName(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; c == '_' || !letter(c) && !digit(c) && c != '-' {
				return false
			}
		}
	}
	return len(s) <= 252
}
