package pki_test

import (
	"encoding/pem"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/pki/issue"
)

// now is the time of all tests that do not say another.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// lasting gives a profile a year around now.
func lasting(p issue.Profile) issue.Profile {
	if p.NotBefore.IsZero() {
		p.NotBefore = now.AddDate(0, -6, 0)
	}
	if p.NotAfter.IsZero() {
		p.NotAfter = now.AddDate(0, 6, 0)
	}
	return p
}

func root(t testing.TB, name string) *issue.Authority {
	t.Helper()
	a, err := issue.NewAuthority(lasting(issue.Profile{Names: issue.Names{Common: name}}))
	require.NoError(t, err)
	return a
}

func below(t testing.TB, a *issue.Authority, p issue.Profile) *issue.Authority {
	t.Helper()
	sub, err := a.Authority(lasting(p))
	require.NoError(t, err)
	return sub
}

func leaf(t testing.TB, a *issue.Authority, p issue.Profile) *issue.Pair {
	t.Helper()
	pair, err := a.Issue(lasting(p))
	require.NoError(t, err)
	return pair
}

// pemFile is what a file with certificates of pairs holds.
func pemFile(name string, pairs ...*issue.Pair) pki.File {
	f := pki.File{Name: name}
	for _, p := range pairs {
		f.Data = append(f.Data, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Cert.Raw})...)
	}
	return f
}

func base(a *issue.Authority) pki.Base {
	return pki.Base{Authorities: []pki.File{pemFile("ca.pem", &a.Pair)}}
}

func trust(t testing.TB, b pki.Base) *pki.Trust {
	t.Helper()
	made, wrong := pki.NewTrust(b, now)
	require.NotNil(t, made, "%v", wrong)
	return made
}
