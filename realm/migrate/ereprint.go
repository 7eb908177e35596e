package migrate

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// printExact writes the expression over upper-case octets that stand as runes.
func printExact(b *strings.Builder, n *ereNode) {
	switch n.op {
	case ereSet:
		printRunes(b, n)
	case ereRepeat:
		b.WriteString("(?:")
		printExact(b, n.subs[0])
		b.WriteByte(')')
		printTimes(b, n)
	default:
		open, between, end := frame(n)
		b.WriteString(open)
		for i, s := range n.subs {
			if i > 0 {
				b.WriteString(between)
			}
			printExact(b, s)
		}
		b.WriteString(end)
	}
}

// frame is what stands around and between the parts of a node.
func frame(n *ereNode) (open, between, end string) {
	switch n.op {
	case ereEmpty:
		return "(?:)", "", ""
	case ereBegin:
		return `\A`, "", ""
	case ereEnd:
		return `\z`, "", ""
	case ereBoundary:
		return `\b`, "", ""
	case ereNoBoundary:
		return `\B`, "", ""
	case ereAlt:
		return "(?:", "|", ")"
	case ereGroup:
		return "(", "", ")"
	}
	return "", "", "" // a row
}

func printRunes(b *strings.Builder, n *ereNode) {
	b.WriteByte('[')
	some := false
	for c := 1; c < 256; c++ {
		if !n.set[c] {
			continue
		}
		last := c
		for last < 255 && n.set[last+1] {
			last++
		}
		fmt.Fprintf(b, `\x{%x}-\x{%x}`, c, last)
		c, some = last, true
	}
	if !some {
		b.WriteString(`^\x{0}-\x{10ffff}`)
	}
	b.WriteByte(']')
}

func printTimes(b *strings.Builder, n *ereNode) {
	switch {
	case n.min == 0 && n.max < 0:
		b.WriteByte('*')
	case n.min == 1 && n.max < 0:
		b.WriteByte('+')
	case n.min == 0 && n.max == 1:
		b.WriteByte('?')
	case n.max < 0:
		b.WriteString("{" + strconv.Itoa(n.min) + ",}")
	case n.min == n.max:
		b.WriteString("{" + strconv.Itoa(n.min) + "}")
	default:
		b.WriteString("{" + strconv.Itoa(n.min) + "," + strconv.Itoa(n.max) + "}")
	}
}

// RE2 writes the expression for people and for our files, where case is
// ignored too. What it matches is the same for names of ASCII characters, and
// for others but where single octets of them are counted or listed, which is
// refused.
func (e *ERE) RE2() (string, error) {
	var b strings.Builder
	err := e.print(&b, e.root, true)
	return b.String(), err
}

func (e *ERE) print(b *strings.Builder, n *ereNode, top bool) error {
	switch n.op {
	case ereSet:
		return printSet(b, n)
	case ereCat:
		return e.printRow(b, n.subs)
	case ereRepeat:
		sub := n.subs[0]
		bare := sub.op == ereSet || sub.op == ereGroup
		if !bare {
			b.WriteString("(?:")
		}
		if err := e.print(b, sub, true); err != nil {
			return err
		}
		if !bare {
			b.WriteByte(')')
		}
		printTimes(b, n)
		return nil
	case ereBegin:
		b.WriteByte('^')
		return nil
	case ereEnd:
		b.WriteByte('$')
		return nil
	case ereEmpty:
		if top && n == e.root {
			b.WriteString("(?:)")
		}
		return nil
	}
	open, between, end := frame(n)
	if n.op == ereAlt && top {
		open, end = "", ""
	}
	b.WriteString(open)
	for i, s := range n.subs {
		if i > 0 {
			b.WriteString(between)
		}
		if err := e.print(b, s, n.op == ereGroup || n.op == ereAlt); err != nil {
			return err
		}
	}
	b.WriteString(end)
	return nil
}

// printRow writes one part after the other, and characters beyond ASCII whole.
func (e *ERE) printRow(b *strings.Builder, subs []*ereNode) error {
	for i := 0; i < len(subs); i++ {
		var wide []byte
		for ; i < len(subs); i++ {
			c, one := subs[i].octet()
			if !one || c < 0x80 {
				break
			}
			wide = append(wide, c)
		}
		if !utf8.Valid(wide) {
			return errWide
		}
		b.Write(wide)
		if i == len(subs) {
			break
		}
		if err := e.print(b, subs[i], false); err != nil {
			return err
		}
	}
	return nil
}

var errWide = errors.New("single octets of characters beyond ASCII have no like here")

// octet returns the octet of a set that has one.
func (n *ereNode) octet() (c byte, one bool) {
	if n.op != ereSet || n.inverted {
		return 0, false
	}
	for i, in := range n.set {
		if in && one {
			return 0, false
		}
		if in {
			c, one = byte(i), true
		}
	}
	return c, one
}

func printSet(b *strings.Builder, n *ereNode) error {
	if c, one := n.octet(); one {
		if c >= 0x80 {
			return errWide
		}
		if strings.ContainsRune(`\.+*?()|[]{}^$`, rune(c)) {
			b.WriteByte('\\')
		}
		printOctet(b, lower(c))
		return nil
	}
	listed := n.set
	if n.inverted {
		other := ereNode{set: n.set}
		listed = other.invert().set
	}
	var body strings.Builder
	for c := 1; c < 256; c++ {
		if !listed[c] {
			continue
		}
		last := c
		for last < 255 && listed[last+1] && letter(byte(last+1)) == letter(byte(c)) {
			last++
		}
		if last >= 0x80 {
			return errWide
		}
		printMember(&body, c)
		if last > c+1 {
			body.WriteByte('-')
		}
		if last > c {
			printMember(&body, last)
		}
		c = last
	}
	switch {
	case n.inverted && body.Len() == 0:
		b.WriteByte('.')
	case n.inverted:
		b.WriteString("[^" + body.String() + "]")
	case body.Len() == 0:
		b.WriteString(`[^\x00-\x{10ffff}]`)
	default:
		b.WriteString("[" + body.String() + "]")
	}
	return nil
}

func printMember(b *strings.Builder, c int) {
	if strings.ContainsRune(`\[]^-`, rune(c)) {
		b.WriteByte('\\')
	}
	printOctet(b, lower(byte(c)))
}

func printOctet(b *strings.Builder, c byte) {
	if c < ' ' || c == 0x7f {
		fmt.Fprintf(b, `\x%02x`, c)
		return
	}
	b.WriteByte(c)
}
