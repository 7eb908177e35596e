package translate

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/test/judge"
)

func TestMain(m *testing.M) { os.Exit(judge.Main{M: m}.Run()) }

const (
	ourName  = "hub.example"
	ourRealm = "hub"
	ourToken = 9
)

var ourKey = []byte("0123456789abcdef")

// vector is one case of test/vectors/translate.
type vector struct {
	title, do string
	keys      map[string]string
	asked     []byte
	given     []byte
	want      []byte
	reason    string // not "": it cannot be translated
	nothing   bool
	named     map[uint32]bool // AVPs that the case wants to see
}

// everywhere are AVPs that count only where a case names them.
var everywhere = []uint32{258, 259, 260, 263, 264, 283, 293, 296, 408}

func readVectors(t testing.TB, name string) (all []*vector) {
	text, err := os.ReadFile(filepath.Join("..", "..", "test", "vectors", "translate", name))
	require.NoError(t, err)
	var v *vector
	var section string
	var body []byte
	var diam bool
	end := func() {
		if v == nil || section == "" {
			return
		}
		seal(body, diam)
		switch section {
		case "asked":
			v.asked = body
		case "given":
			v.given = body
		case "want":
			v.want = body
		}
		section, body = "", nil
	}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "" || line[0] == '#':
		case word == "case":
			end()
			v = &vector{title: rest, keys: map[string]string{}, named: map[uint32]bool{}}
			all = append(all, v)
		case word == "do":
			f := strings.Fields(rest)
			v.do = f[0]
			for _, kv := range f[1:] {
				k, value, _ := strings.Cut(kv, "=")
				v.keys[k] = value
			}
		case word == "want" && strings.HasPrefix(rest, "reason "):
			end()
			v.reason = strings.TrimPrefix(rest, "reason ")
		case word == "want" && rest == "nothing":
			end()
			v.nothing = true
		case word == "asked" || word == "given" || word == "want":
			end()
			section = word
			body, diam = head(rest)
		case diam:
			code, avp, err := readAVP(line)
			require.NoError(t, err, "%s:%d: %s", name, i+1, line)
			if section == "want" {
				v.named[code] = true
			}
			body = append(body, avp...)
		default:
			attr, err := readAttribute(line)
			require.NoError(t, err, "%s:%d: %s", name, i+1, line)
			body = append(body, attr...)
		}
	}
	end()
	return all
}

// head begins a packet or a message.
func head(text string) (b []byte, diam bool) {
	for c := radius.Code(1); c < 60; c++ {
		if c.String() == text {
			b = make([]byte, radius.HeaderLen)
			b[0] = byte(c)
			binary.BigEndian.PutUint32(b[4:], ourToken)
			return b, false
		}
	}
	f := strings.Fields(text)
	if f[0] == "session" {
		return make([]byte, radius.HeaderLen), false
	}
	cmd, _ := strconv.ParseUint(f[0], 10, 24)
	app, _ := strconv.ParseUint(f[1], 10, 32)
	var flags diameter.Flags
	for _, c := range f[2] {
		flags |= map[rune]diameter.Flags{'R': diameter.FlagRequest, 'P': diameter.FlagProxiable, 'E': diameter.FlagError}[c]
	}
	var w diameter.Writer
	w.Begin(make([]byte, 0, diameter.HeaderLen)[:diameter.HeaderLen], &diameter.Header{Flags: flags, Command: uint32(cmd), Application: uint32(app), HopByHop: 3, EndToEnd: 4})
	return slices.Clone(w.Finish()), true
}

func seal(b []byte, diam bool) {
	if diam {
		b[1], b[2], b[3] = byte(len(b)>>16), byte(len(b)>>8), byte(len(b))
	} else if len(b) >= 4 {
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	}
}

func readAVP(line string) (code uint32, avp []byte, err error) {
	name, text, _ := strings.Cut(line, " ")
	name, must := strings.CutSuffix(name, "!")
	number, of, _ := strings.Cut(name, ".")
	c, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return 0, nil, err
	}
	vendor := uint64(0)
	if of != "" {
		if vendor, err = strconv.ParseUint(of, 10, 32); err != nil {
			return 0, nil, err
		}
	}
	var value []byte
	if text = strings.TrimSpace(text); strings.HasPrefix(text, "{") {
		for _, part := range parts(strings.TrimSuffix(strings.TrimPrefix(text, "{"), "}")) {
			_, in, err := readAVP(strings.TrimSpace(part))
			if err != nil {
				return 0, nil, err
			}
			value = append(value, in...)
		}
	} else if value, err = readValue(text); err != nil {
		return 0, nil, err
	}
	var flags diameter.AVPFlags
	if must {
		flags = diameter.AVPMandatory
	}
	var w diameter.Writer
	w.Begin(make([]byte, diameter.MaxLen), &diameter.Header{})
	w.Bytes(uint32(c), uint32(vendor), flags, value)
	return uint32(c), slices.Clone(w.Finish()[diameter.HeaderLen:]), nil
}

// parts cuts a group at its semicolons, not at those of groups inside of it.
func parts(text string) (all []string) {
	depth, from := 0, 0
	for i, c := range text {
		switch {
		case c == '{':
			depth++
		case c == '}':
			depth--
		case c == ';' && depth == 0:
			all = append(all, text[from:i])
			from = i + 1
		}
	}
	return append(all, text[from:])
}

func readAttribute(line string) ([]byte, error) {
	name, text, _ := strings.Cut(line, " ")
	value, err := readValue(strings.TrimSpace(text))
	if err != nil {
		return nil, err
	}
	vendor, typ, of := strings.Cut(name, ".")
	if !of {
		n, err := strconv.ParseUint(name, 10, 8)
		return append([]byte{byte(n), byte(2 + len(value))}, value...), err
	}
	v, err := strconv.ParseUint(vendor, 10, 32)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(typ, 10, 8)
	b := binary.BigEndian.AppendUint32([]byte{26, byte(8 + len(value))}, uint32(v))
	return append(append(b, byte(n), byte(2+len(value))), value...), err
}

func readValue(text string) (b []byte, err error) {
	for text != "" {
		switch c := text[0]; {
		case c == '+' || c == ' ':
			text = text[1:]
		case c == '"':
			end := strings.IndexByte(text[1:], '"') + 1
			s := text[1:end]
			text = text[end+1:]
			n := uint64(1)
			if strings.HasPrefix(text, "*") {
				digits := len(text) - len(strings.TrimLeft(text[1:], "0123456789"))
				if n, err = strconv.ParseUint(text[1:digits], 10, 16); err != nil {
					return nil, err
				}
				text = text[digits:]
			}
			b = append(b, strings.Repeat(s, int(n))...)
		case strings.HasPrefix(text, "handle:"):
			rest := strings.TrimPrefix(text, "handle:")
			numbers, more, _ := strings.Cut(rest, "+")
			b = NewSessions(ourName, ourKey).Handle(b, idOf(numbers))
			text = more
		case c == 'x':
			end := strings.IndexAny(text, "\"+")
			if end < 0 {
				end = len(text)
			}
			raw, err := hex.DecodeString(strings.ReplaceAll(text[1:end], " ", ""))
			if err != nil {
				return nil, err
			}
			b, text = append(b, raw...), text[end:]
		case c == 'q':
			v, err := strconv.ParseUint(text[1:], 10, 64)
			return binary.BigEndian.AppendUint64(b, v), err
		default:
			v, err := strconv.ParseUint(text, 10, 32)
			return binary.BigEndian.AppendUint32(b, uint32(v)), err
		}
	}
	return b, nil
}

func idOf(text string) (id ID) {
	high, low, _ := strings.Cut(text, ":")
	h, _ := strconv.ParseUint(high, 10, 32)
	l, _ := strconv.ParseUint(low, 10, 32)
	return ID{uint32(h), uint32(l)}
}

func (v *vector) terms() *Terms {
	key := func(k, or string) []byte {
		if s, ok := v.keys[k]; ok {
			return []byte(s)
		}
		if or == "" {
			return nil
		}
		return []byte(or)
	}
	number := func(k string, or uint64) uint64 {
		if n, err := strconv.ParseUint(v.keys[k], 10, 64); err == nil {
			return n
		}
		return or
	}
	app := uint64(diameter.AppNASREQ)
	if v.do == "account" {
		app = diameter.AppAccounting
	}
	return &Terms{
		Identity: ourName, Realm: ourRealm, Application: uint32(number("app", app)), Session: key("session", "hub.example;5;6"),
		DestinationHost: key("host", ""), DestinationRealm: key("realm", "home.example"), State: key("state", ""), Network: key("network", ""),
		Arrival: int64(number("arrival", 1767225600)), HopByHop: 3, EndToEnd: 4,
	}
}

// run does what the case is about.
func (v *vector) run(t testing.TB, tr *Translator) (b []byte, diam bool, why Reason) {
	room := make([]byte, diameter.MaxLen)
	var p, asked radius.Packet
	var m diameter.Message
	parse := func(p *radius.Packet, b []byte) { require.Equal(t, radius.OK, p.Parse(b)) }
	message := func(b []byte) { m.Parse(b) }
	x := v.terms()
	switch v.do {
	case "access", "account":
		parse(&p, v.given)
		_, name := Destination(nil, &p, ourRealm)
		if v.do == "access" {
			b, why = tr.Access(room, &p, name, x)
		} else {
			b, why = tr.Accounting(room, &p, name, x)
		}
		return b, true, why
	case "reply":
		parse(&asked, v.asked)
		message(v.given)
		id, named := v.keys["id"]
		left, _ := strconv.Atoi(v.keys["room"])
		b, out, _ := tr.Reply(room, &m, &Asked{Packet: &asked, Session: idOf(id), Named: named, Application: x.Application, Room: left})
		kept, _ := strconv.Atoi(v.keys["kept"])
		assert.Len(t, out.State, kept)
		return b, false, OK
	case "request":
		message(v.given)
		b, why = tr.Request(room, &m, ourToken)
		return b, false, why
	case "answer":
		parse(&p, v.given)
		message(v.asked)
		b, why = tr.Answer(room, &p, &m, x)
		return b, true, why
	case "dynamic":
		parse(&p, v.given)
		b, why = tr.Dynamic(room, &p, x)
		return b, true, why
	case "dynamic-reply":
		parse(&p, v.asked)
		message(v.given)
		b, why = tr.DynamicReply(room, &m, &p)
		return b, false, why
	case "into-dynamic":
		message(v.given)
		b, why = tr.IntoDynamic(room, &m, idOf(v.keys["id"]), v.asked[radius.HeaderLen:], ourToken)
		return b, false, why
	case "dynamic-answer":
		parse(&p, v.given)
		message(v.asked)
		b, why = tr.DynamicAnswer(room, &p, &m, x)
		return b, true, why
	}
	t.Fatalf("%s: there is no translation %q", v.title, v.do)
	return nil, false, OK
}

// refused has the answer judged that is due to a request that cannot be translated.
func (v *vector) refused(failed []byte, why Reason) {
	var m diameter.Message
	var w diameter.Writer
	m.Parse(v.given)
	w.Answer(make([]byte, diameter.MaxLen), &m, &diameter.Answer{Result: why.Result(), Host: ourName, Realm: ourRealm, Failed: failed})
	judge.Collect(w.Finish())
}

// lines prints what a packet or a message has, one line each.
func lines(b []byte, diam bool, keep func(code uint32) bool) (all []string) {
	if !diam {
		all = append(all, fmt.Sprintf("%s token %d", radius.Code(b[0]), binary.BigEndian.Uint32(b[4:])))
		for rest := b[radius.HeaderLen:]; len(rest) > 0; rest = rest[rest[1]:] {
			all = append(all, fmt.Sprintf("%d %q", rest[0], rest[2:rest[1]]))
		}
		return all
	}
	h := diameter.ReadHeader(b)
	all = append(all, fmt.Sprintf("%d %d flags %02x %d %d", h.Command, h.Application, h.Flags, h.HopByHop, h.EndToEnd))
	var a diameter.AVP
	for c := diameter.Walk(b[diameter.HeaderLen:]); c.Next(&a); {
		if keep(a.Code) || a.Vendor != 0 {
			all = append(all, fmt.Sprintf("%d.%d flags %02x %q", a.Code, a.Vendor, a.Flags, a.Data))
		}
	}
	return all
}

// C123: the rows of the table of RFC 4005 section 9 and RFC 4072 section 6, and what we
// do where it cannot be kept.
func TestC123Vectors(t *testing.T) {
	for _, file := range []string{"outward.txt", "inward.txt", "dynamic.txt"} {
		tr := New(NewSessions(ourName, ourKey))
		for _, v := range readVectors(t, file) {
			t.Run(strings.TrimSuffix(file, ".txt")+"/"+v.title, func(t *testing.T) {
				b, diam, why := v.run(t, tr)
				if v.reason != "" {
					assert.Equal(t, v.reason, why.String())
					assert.NotZero(t, why.Result())
					if why == Missing || why == Unknown || why == LongValue || why == BadValue {
						assert.NotEmpty(t, tr.Failed)
						v.refused(tr.Failed, why)
					}
					return
				}
				require.Equal(t, "ok", why.String())
				if v.nothing {
					assert.Nil(t, b)
					return
				}
				keep := func(code uint32) bool { return v.named[code] || !slices.Contains(everywhere, code) }
				require.NotNil(t, b)
				assert.Equal(t, lines(v.want, diam, keep), lines(b, diam, keep))
				if diam {
					judge.Collect(b)
					var m diameter.Message
					assert.Equal(t, len(b), diameter.ReadHeader(b).Length)
					assert.NotEqual(t, diameter.BadAVPLength, m.Parse(b))
				} else {
					var p radius.Packet
					assert.Equal(t, radius.OK, p.Parse(b))
				}
			})
		}
	}
}
