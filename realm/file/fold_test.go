package file

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/pkg/nai"
)

// TestC105Fold (C105): a realm is written into the table as pkg/nai looks it up,
// in whichever form an editor has stored its characters.
func TestC105Fold(t *testing.T) {
	for _, name := range []string{
		"Home.Example", "b\u00fccher.example", "Bu\u0308cher.Example", "*.bu\u0308cher.example", "J\u030c.example", "\u212ae.example",
	} {
		folded, text, _ := foldRealm(name)
		assert.Empty(t, text, name)
		var buf [nai.MaxLen]byte
		assert.Equal(t, string(nai.Fold(&buf, []byte(name))), folded, name)
	}
	folded, _, _ := foldRealm("bu\u0308cher.example")
	assert.Equal(t, "b\u00fccher.example", folded)
}
