package radius_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
)

type vector struct{ verb, octets, name, want string }

// vectors reads every case of test/vectors/radius.
func vectors(t testing.TB) (all []vector) {
	t.Helper()
	files, err := filepath.Glob("../../test/vectors/radius/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		lines := bufio.NewScanner(bytes.NewReader(b))
		for n := 1; lines.Scan(); n++ {
			line, name, _ := strings.Cut(lines.Text(), "#")
			if want, ok := strings.CutPrefix(line, "= "); ok {
				all[len(all)-1].want = want
				continue
			}
			verb, octets, _ := strings.Cut(strings.TrimSpace(line), " ")
			if verb == "" {
				continue
			}
			where := fmt.Sprintf("%s:%d", filepath.Base(file), n)
			all = append(all, vector{verb, octets, strings.TrimSpace(name) + " " + where, ""})
		}
	}
	return all
}

// octets reads the notation of the vector files.
func octets(t testing.TB, text string) (b []byte) {
	t.Helper()
	length := -1
	for _, word := range strings.Fields(text) {
		switch word {
		case "len":
			length = len(b)
			b = append(b, 0, 0)
			continue
		case "ma":
			b = append(b, zeroMA...)
			continue
		}
		part := strings.Split(word, "*")
		group, err := hex.DecodeString(part[0])
		require.NoError(t, err, word)
		for _, times := range part[1:] {
			n, err := strconv.Atoi(times)
			require.NoError(t, err, word)
			group = bytes.Repeat(group, n)
		}
		b = append(b, group...)
	}
	if length >= 0 {
		binary.BigEndian.PutUint16(b[length:], uint16(len(b)))
	}
	return b
}

const ownState, clientState = "own", "cps"

var newAuth = auth(200)

// One hop's state, shared by all tests, none of which are parallel.
var (
	hopCrypt      = radius.NewCrypt()
	hopSignatures = radius.NewSignatures(4)
	hopSecret     = map[string]*radius.Secret{
		string(secretIn): radius.NewSecret(secretIn), string(secretOut): radius.NewSecret(secretOut),
	}
)

// forwardRequest is one hop with fixed secrets; the result is the signed packet.
func forwardRequest(p *radius.Packet) ([]byte, radius.Reason) {
	var w radius.Writer
	in, out := hopSecret[string(secretIn)], hopSecret[string(secretOut)]
	why := hopCrypt.ForwardRequest(&w, make([]byte, radius.MaxLen), p, 99, &newAuth, in, out, []byte(ownState))
	if why != radius.OK {
		return nil, why
	}
	if p.Code() == radius.AccessRequest {
		return sameTogether(w.SignRequest(hopCrypt, out), func() []byte { return hopSignatures.Request(&w, out) }), why
	}
	return sameTogether(w.SignAccounting(hopCrypt, out), func() []byte { return hopSignatures.Accounting(&w, out) }), why
}

// sameTogether is alone, a packet signed by itself, if the batch signs it the
// same way.
func sameTogether(alone []byte, add func() []byte) []byte {
	alone = bytes.Clone(alone)
	together := add()
	hopSignatures.Run()
	if !bytes.Equal(alone, together) {
		panic(fmt.Sprintf("signed alone %x, together %x", alone, together))
	}
	return together
}

// forwardResponse is the way back: homeAuth was ours, clientAuth the client's.
func forwardResponse(p *radius.Packet, in, out []byte) ([]byte, radius.Reason) {
	var w radius.Writer
	s := hopSecret[string(out)]
	why := hopCrypt.ForwardResponse(&w, make([]byte, radius.MaxLen), p, 99, &homeAuth, &clientAuth,
		hopSecret[string(in)], s, text(radius.ProxyState, clientState), nil, nil)
	if why != radius.OK {
		return nil, why
	}
	return sameTogether(w.SignResponse(hopCrypt, s, &clientAuth), func() []byte { return hopSignatures.Response(&w, s, &clientAuth) }), why
}

var homeAuth, clientAuth = auth(33), auth(44)

// attributes is everything of a packet but header and Message-Authenticator.
func attributes(t testing.TB, b []byte) []byte {
	t.Helper()
	var rest []byte
	p := parse(t, b)
	for a, off, ok := p.Next(radius.HeaderLen); ok; a, off, ok = p.Next(off) {
		if a.Type != radius.MessageAuthenticator {
			rest = append(rest, a.Raw...)
		}
	}
	return rest
}

func TestVectors(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range vectors(t) {
		t.Run(v.verb+" "+v.name, func(t *testing.T) {
			got := runVector(t, v)
			seen[strings.Fields(got)[0]] = true
			want := strings.TrimSpace(v.want)
			if attrs, ok := strings.CutPrefix(want, "ok "); ok && v.verb != "decode" {
				want = fmt.Sprintf("ok %x", octets(t, attrs))
			}
			assert.Equal(t, want, got)
		})
	}
	for _, r := range radius.Reasons() {
		assert.True(t, seen[r.String()], "no vector gives %s", r)
	}
	assert.Equal(t, "unknown", radius.Reason(200).String())
}

func runVector(t *testing.T, v vector) string {
	var p radius.Packet
	why := p.Parse(octets(t, v.octets))
	if v.verb == "decode" || why != radius.OK {
		if why != radius.OK {
			assert.Empty(t, p.Bytes())
			return why.String()
		}
		return fmt.Sprintf("ok code=%s id=%d attrs=%d", p.Code(), p.Identifier(), p.Len())
	}
	before := bytes.Clone(p.Bytes())
	var b []byte
	switch v.verb {
	case "request":
		b, why = forwardRequest(&p)
	case "response":
		b, why = forwardResponse(&p, secretIn, secretOut)
	default:
		t.Fatalf("no verb %q", v.verb)
	}
	assert.Equal(t, before, p.Bytes(), "the input is not touched")
	if why != radius.OK {
		return why.String()
	}
	assertSigned(t, &p, b)
	return fmt.Sprintf("ok %x", attributes(t, b))
}

// assertSigned proves the signatures of a forwarded packet with the oracle, and
// that its Message-Authenticator is where it must be.
func assertSigned(t testing.TB, in *radius.Packet, b []byte) {
	t.Helper()
	p := parse(t, b)
	require.Equal(t, in.Code(), p.Code())
	require.Equal(t, uint8(99), p.Identifier())
	var over [16]byte
	wantMA := in.Has(radius.MessageAuthenticator)
	switch p.Code() {
	case radius.AccessRequest:
		over, wantMA = newAuth, true
		require.Equal(t, newAuth, *p.Authenticator())
	case radius.AccountingRequest:
		wantMA = false
	case radius.CoARequest, radius.DisconnectRequest:
	case radius.AccountingResponse:
		over, wantMA = clientAuth, false
	case radius.AccessAccept, radius.AccessReject, radius.AccessChallenge:
		over, wantMA = clientAuth, true
	default:
		over = clientAuth
	}
	if p.Code() != radius.AccessRequest {
		require.Equal(t, oracleAuth(b, over, secretOut), *p.Authenticator())
	}
	require.Equal(t, wantMA, p.Has(radius.MessageAuthenticator))
	if wantMA {
		require.Equal(t, byte(radius.MessageAuthenticator), b[radius.HeaderLen], "C46, C47: first")
		require.Equal(t, oracleMA(b, over, secretOut), b[22:38])
	}
}
