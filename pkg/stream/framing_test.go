package stream

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tape is a link that gives pieces, each by one read, and then ends.
type tape struct {
	pieces [][]byte
	dry    bool // nothing came between two pieces
}

func (l *tape) read(p []byte) (int, error) {
	if l.dry = !l.dry; l.dry {
		return 0, errNothing
	}
	if len(l.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, l.pieces[0])
	if l.pieces[0] = l.pieces[0][n:]; len(l.pieces[0]) == 0 {
		l.pieces = l.pieces[1:]
	}
	return n, nil
}

func (l *tape) write(p []byte) (int, error) { return len(p), nil }
func (l *tape) writable(bool) error         { return nil }
func (l *tape) close()                      {}

// framed is what comes out of pieces, in the words of the vectors.
func framed(t testing.TB, pieces [][]byte) (packets [][]byte, words string) {
	c := &Conn{link: &tape{pieces: pieces}}
	defer c.Close()
	var say []string
	for {
		_, err := c.Recv()
		for {
			b, wrong := c.Next()
			if wrong == ErrFraming {
				return packets, strings.Join(append(say, "framing"), " ")
			}
			if b == nil {
				break
			}
			packets = append(packets, bytes.Clone(b))
			if wrong == ErrTooLong {
				require.Len(t, b, minPacket)
				say = append(say, fmt.Sprintf("long:%d", binary.BigEndian.Uint16(b[2:])))
				continue
			}
			require.NoError(t, wrong)
			say = append(say, strconv.Itoa(len(b)))
		}
		c.Done()
		switch err {
		case nil:
		case io.EOF:
			require.False(t, c.Partial())
			return packets, strings.Join(say, " ")
		case io.ErrUnexpectedEOF:
			require.True(t, c.Partial())
			return packets, strings.Join(append(say, "more"), " ")
		default:
			t.Fatal(err)
		}
	}
}

type vector struct {
	name, want string
	pieces     [][]byte
}

func vectors(t testing.TB) (list []vector) {
	t.Helper()
	text, err := os.ReadFile("../../test/vectors/stream/framing.txt")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		switch {
		case line == "" || line[0] == '#':
		case words[0] == "in":
			for _, w := range words[1:] {
				n := 1
				if times, octet, many := strings.Cut(w, "*"); many {
					n, err = strconv.Atoi(times)
					require.NoError(t, err, line)
					w = octet
				}
				b, err := hex.DecodeString(w)
				require.NoError(t, err, line)
				last := &list[len(list)-1]
				last.pieces = append(last.pieces, bytes.Repeat(b, n))
			}
		case words[0] == "=":
			list[len(list)-1].want = strings.Join(words[1:], " ")
		default:
			list = append(list, vector{name: line})
		}
	}
	return list
}

// C75: the vectors, as they are cut and in one piece.
func TestC75Vectors(t *testing.T) {
	list := vectors(t)
	require.Greater(t, len(list), 10)
	for _, v := range list {
		t.Run(v.name, func(t *testing.T) {
			all := [][]byte{bytes.Join(v.pieces, nil)}
			if len(all[0]) == 0 {
				all = nil
			}
			_, got := framed(t, v.pieces)
			assert.Equal(t, v.want, got)
			_, got = framed(t, all)
			assert.Equal(t, v.want, got, "in one piece")
		})
	}
}

// FuzzFraming: however it is cut, the same comes out, and it is what stands
// there.
func FuzzFraming(f *testing.F) {
	for _, v := range vectors(f) {
		if b := bytes.Join(v.pieces, nil); len(b) < 10_000 {
			f.Add(b, uint16(7))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, step uint16) {
		if len(b) >= 10_000 { // what such have in common is in the vectors
			return
		}
		var whole, cut [][]byte
		if len(b) > 0 {
			whole = [][]byte{b}
		}
		for rest := b; len(rest) > 0; {
			n := min(int(step)+1+len(b)/256, len(rest))
			cut, rest = append(cut, rest[:n]), rest[n:]
		}
		packets, words := framed(t, whole)
		again, same := framed(t, cut)
		if words != same || len(packets) != len(again) {
			t.Fatalf("%q and %q", words, same)
		}
		for i, p := range packets {
			if !bytes.Equal(p, again[i]) {
				t.Fatalf("packet %d differs", i)
			}
			n := int(binary.BigEndian.Uint16(p[2:]))
			if !bytes.Equal(p, b[:len(p)]) || n > maxPacket != (n != len(p)) {
				t.Fatalf("packet %d is not what came", i)
			}
			b = b[min(n, len(b)):]
		}
	})
}
