// Package nai reads the Network Access Identifier in a User-Name (RFC 7542):
// where it splits, whether its realm may be looked up, and whether it names a
// subscriber of a mobile network (3GPP TS 23.003 sections 14 and 19).
//
// In the packet walk it stands between the integrity check and the routing
// table. It never changes an octet that is forwarded: slices handed out point
// into the input, Fold writes to an array of its caller, and only what is
// looked up is folded. No function keeps state or does I/O, and none allocates
// but Fold for a realm beyond ASCII; all are safe for concurrent use.
//
// The octets come from a stranger's device. A realm that passes Split is a row
// of labels of letters, digits and hyphens and nothing else: it can be pasted
// into a DNS name, a key or a log line without harm. The part in front of the
// realm is the home's business: it is free of control characters, no more.
//
// A-labels and U-labels are not made of each other, and decorated names are
// reported but not rewritten.
package nai

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxLen is the number of octets a User-Name can carry.
const MaxLen = 253

// Reason says why a name has no realm to be routed on. The set is closed;
// String gives the label under which it is counted.
type Reason uint8

const (
	OK         Reason = iota
	Empty             // no octets at all
	TooLong           // more than MaxLen octets
	Control           // a control character, NUL included
	NotUTF8           // not UTF-8
	EmptyRealm        // nothing behind the last @
	BadRealm          // not labels of letters, digits and hyphens
	ManyAt            // more than one @
	Backslash         // a Windows domain in front
	Decorated         // a ! in front: a source route (RFC 7542 section 3.3.1)
	NoDot             // a realm of one label
	reasons
)

var reasonNames = [reasons]string{
	OK:         "ok",
	Empty:      "empty",
	TooLong:    "too_long",
	Control:    "control",
	NotUTF8:    "not_utf8",
	EmptyRealm: "empty_realm",
	BadRealm:   "bad_realm",
	ManyAt:     "many_at",
	Backslash:  "backslash",
	Decorated:  "decorated",
	NoDot:      "no_dot",
}

// String is the counter label of r.
func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return "unknown"
}

// Reasons returns every reason but OK, for registering counters.
func Reasons() []Reason {
	all := make([]Reason, 0, reasons-1)
	for r := OK + 1; r < reasons; r++ {
		all = append(all, r)
	}
	return all
}

// Split parts a User-Name at its @. A name without @ has a nil realm and is OK;
// a name that begins with @ has an empty user and is OK (an anonymous outer
// identity). ManyAt, Backslash, Decorated and NoDot are well formed but
// ambiguous: for a routing rule that allows them, user and realm, split at the
// last @, are returned too. All other reasons return nothing. hot: 0 allocs
func Split(in []byte) (user, realm []byte, why Reason) {
	seen, why := scan(in)
	if why != OK {
		return nil, nil, why
	}
	user = in
	if seen.at > 0 {
		user, realm = in[:seen.last:seen.last], in[seen.last+1:]
		if len(realm) == 0 {
			return nil, nil, EmptyRealm
		}
		if !validRealm(realm) {
			return nil, nil, BadRealm
		}
	}
	switch {
	case seen.at > 1:
		why = ManyAt
	case seen.backslash:
		why = Backslash
	case seen.bang:
		why = Decorated
	case realm != nil && bytes.IndexByte(realm, '.') < 0:
		why = NoDot
	}
	return user, realm, why
}

type marks struct {
	at, last        int // number of @, place of the last one
	backslash, bang bool
}

// scan judges the name as a whole and notes its delimiters.
func scan(in []byte) (m marks, why Reason) {
	if len(in) == 0 {
		return m, Empty
	}
	if len(in) > MaxLen {
		return m, TooLong
	}
	wide := false
	for i, c := range in {
		switch classOf[c] {
		case delimiter:
			m.note(c, i)
		case control:
			return m, Control
		case beyondASCII:
			wide = true
		}
	}
	if wide {
		return m, scanWide(in)
	}
	return m, OK
}

func (m *marks) note(c byte, i int) {
	switch c {
	case '@':
		m.at++
		m.last = i
	case '\\':
		m.backslash = true
	case '!':
		m.bang = true
	}
}

// scanWide looks for what is no text beyond ASCII: broken UTF-8, the control
// characters U+0080 to U+009F, and the separators and direction overrides that
// make a log line read other than it is.
func scanWide(in []byte) Reason {
	for len(in) > 0 {
		r, n := utf8.DecodeRune(in)
		if r == utf8.RuneError && n < 2 {
			return NotUTF8
		}
		if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Cf) {
			return Control
		}
		in = in[n:]
	}
	return OK
}

const maxLabel = 63 // RFC 1035 section 2.3.4

// validRealm reports whether realm is one or more labels between single dots.
// A label is letters and digits with hyphens between them.
func validRealm(realm []byte) bool {
	start := 0
	for i, c := range realm {
		switch {
		case classOf[c] == ldh:
		case c == '.':
			if !validEnds(realm[start:i]) {
				return false
			}
			start = i + 1
		case classOf[c] != beyondASCII:
			return false
		case !validWide(realm[i:]):
			return false
		}
	}
	return validEnds(realm[start:])
}

// validEnds judges what concerns a label as a whole. Its length is bounded as
// DNS does where it is what DNS would see; a U-label only becomes that later.
func validEnds(label []byte) bool {
	n := len(label)
	if n == 0 || label[0] == '-' || label[n-1] == '-' {
		return false
	}
	if n <= maxLabel {
		return true
	}
	for _, c := range label {
		if c >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

// validWide reports whether rest, valid UTF-8, goes on with a letter, a digit or
// a mark that goes with letters (U-labels, RFC 5890 section 2.3.2.1), or stands
// inside of one already judged.
func validWide(rest []byte) bool {
	if !utf8.RuneStart(rest[0]) {
		return true
	}
	r, _ := utf8.DecodeRune(rest)
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd)
}

// class is what an octet can be in a name.
type class uint8

const (
	other class = iota
	ldh
	delimiter
	control
	beyondASCII
)

var classOf = func() (of [256]class) {
	for i := range of {
		c := byte(i)
		switch {
		case c < 0x20 || c == 0x7f:
			of[i] = control
		case c >= utf8.RuneSelf:
			of[i] = beyondASCII
		case c == '@' || c == '!' || c == '\\':
			of[i] = delimiter
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-':
			of[i] = ldh
		}
	}
	return of
}()

// Fold writes realm with ASCII letters in lower case, and in NFC (RFC 7542
// section 2.6), to dst and returns it, for looking up only. A realm longer than
// dst gives nil; one that NFC makes longer than dst is not normalised. hot: 0
// allocs but for what is beyond ASCII
func Fold(dst *[MaxLen]byte, realm []byte) []byte {
	if len(realm) > len(dst) {
		return nil
	}
	out := dst[:len(realm)]
	wide := byte(0)
	for i, c := range realm {
		wide |= c
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		out[i] = c
	}
	if wide >= utf8.RuneSelf {
		return foldWide(dst, realm, out)
	}
	return out
}

// foldWide folds what is beyond ASCII; lower is the realm in lower case. It is
// normalised before and after, because a letter and its mark may be one
// character in one case only.
func foldWide(dst *[MaxLen]byte, realm, lower []byte) []byte {
	text := norm.NFC.Bytes(bytes.Clone(realm)) // a copy, or dst had to live on the heap
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			text[i] += 'a' - 'A'
		}
	}
	if text = norm.NFC.Bytes(text); len(text) > len(dst) {
		return lower
	}
	return dst[:copy(dst[:], text)]
}
