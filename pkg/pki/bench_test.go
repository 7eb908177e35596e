package pki_test

import (
	"crypto/x509"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/pki/issue"
)

// BenchmarkVerify is what a handshake, or a live peer after a reload, costs
// here: a chain of two below the root, and the costliest that was found, nine
// authorities of one name and key that may each have issued the other, and a root
// that has issued none of them.
func BenchmarkVerify(b *testing.B) {
	ca := root(b, "root")
	sub := below(b, ca, issue.Profile{Names: issue.Names{Common: "sub"}})
	plain := leaf(b, sub, issue.Profile{Names: names}).Chain()

	maze := leaf(b, sub, issue.Profile{Names: names}).Chain()
	for len(maze) < pki.MaxChain {
		twin := below(b, sub, issue.Profile{Names: issue.Names{Common: "sub"}, Key: sub.Key, Policies: []string{fmt.Sprintf("1.2.%d", len(maze))}})
		maze = append(maze, twin.Cert)
	}
	for name, c := range map[string]struct {
		chain []*x509.Certificate
		by    *issue.Authority
		want  pki.Cause
	}{
		"plain": {plain, ca, pki.None},
		"maze":  {maze, root(b, "root"), pki.UnknownIssuer},
	} {
		b.Run(name, func(b *testing.B) {
			t := trust(b, base(c.by))
			_, why := t.Verify(c.chain, pki.Client, now)
			require.Equal(b, c.want, why)
			b.ReportAllocs()
			for b.Loop() {
				t.Verify(c.chain, pki.Client, now)
			}
		})
	}
}
