package nai_test

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"github.com/roamgate/roamgate/pkg/nai"
)

// FuzzSplit: no octets panic; what is accepted puts together again, and its
// realm is safe to paste anywhere.
func FuzzSplit(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add([]byte(v.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		user, realm, why := nai.Split(in)
		if user == nil {
			if why == nai.OK || realm != nil {
				t.Fatalf("%q: %s without a user", in, why)
			}
			return
		}
		whole := bytes.Clone(user)
		if realm != nil {
			whole = append(append(whole, '@'), realm...)
		}
		if !bytes.Equal(whole, in) {
			t.Fatalf("%q split into %q and %q", in, user, realm)
		}
		if bytes.ContainsAny(realm, "@!\\ \x00/#%=*$`'\"();|&<>[]{}_:,+") || bytes.Contains(realm, []byte("..")) ||
			!utf8.Valid(in) || len(in) == 0 || len(in) > nai.MaxLen {
			t.Fatalf("%q accepted", in)
		}
		if why == nai.OK && (bytes.Count(in, []byte("@")) > 1 || bytes.ContainsAny(user, "\\!")) {
			t.Fatalf("%q is ambiguous", in)
		}
		checkFolded(t, user, realm)
	})
}

func checkFolded(t *testing.T, user, realm []byte) {
	var buf, again [nai.MaxLen]byte
	folded := nai.Fold(&buf, realm)
	if !bytes.Equal(nai.Fold(&again, folded), folded) || (len(folded) == 0) != (len(realm) == 0) {
		t.Fatalf("folding %q twice differs", realm)
	}
	if len(folded) > 0 {
		if _, same, why := nai.Split(append([]byte("a@"), folded...)); why != nai.NoDot && (why != nai.OK || !bytes.Equal(same, folded)) && len(folded) <= nai.MaxLen-2 {
			t.Fatalf("%q is folded to %q, which is no realm: %s", realm, folded, why)
		}
	}
	imsi, ok := nai.IMSI(user, folded)
	if !ok {
		return
	}
	if _, _, plmn := nai.PLMN(folded); !plmn || len(imsi) < 6 || len(imsi) > 15 || !bytes.HasSuffix(user, imsi) {
		t.Fatalf("%q@%q gives IMSI %q", user, realm, imsi)
	}
}
