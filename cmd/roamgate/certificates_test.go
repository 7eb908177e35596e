package main

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/pki/issue"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/test/peer"
)

// ending is a security whose certificate, authority and list end so many days
// after now.
func ending(t *testing.T, now time.Time, cert, authority, list int) *realm.Security {
	t.Helper()
	at := func(days int) time.Time { return now.AddDate(0, 0, days).Add(time.Hour) }
	ca, err := issue.NewAuthority(issue.Profile{Names: issue.Names{Common: "ca"}, NotBefore: at(-900), NotAfter: at(authority)})
	require.NoError(t, err)
	pair, err := ca.Issue(issue.Profile{Names: issue.Names{Hosts: []string{"radius.example"}}, NotBefore: at(-900), NotAfter: at(cert)})
	require.NoError(t, err)
	crl, err := ca.Revoke(1, at(-30), at(list))
	require.NoError(t, err)
	chain, key, err := pair.PEM()
	require.NoError(t, err)
	root, _, err := ca.PEM()
	require.NoError(t, err)
	s := &realm.Security{Name: "roaming"}
	s.Credential, _ = pki.NewCredential(pki.File{Data: chain}, pki.File{Data: key}, pki.File{}, now)
	s.Trust, _ = pki.NewTrust(pki.Base{Authorities: []pki.File{{Data: root}}, CRLs: []pki.File{{Data: crl}}}, now)
	require.NotNil(t, s.Credential)
	require.NotNil(t, s.Trust)
	return s
}

func TestCertificatesPart(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name                  string
		cert, authority, list int
		ok                    bool
		text                  string
	}{
		{"all is well", 40, 400, 1, true, "our certificate of roaming has 40 days left"},
		{"an authority is first", 40, 30, 1, true, "an authority of roaming has 30 days left"},
		{"a week", 7, 400, 1, true, "our certificate of roaming has 7 days left"},
		{"less than a week", 6, 400, 1, false, "our certificate of roaming has 6 days left"},
		{"ended", -2, 400, 1, false, "our certificate of roaming has ended"},
		{"a list is late", 40, 400, -1, false, "a list of what was revoked of roaming has ended"},
		{"two", 1, 2, 1, false, "our certificate of roaming has 1 day left; an authority of roaming has 2 days left"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ps := certificatesPart(&realm.Set{Securities: []*realm.Security{ending(t, now, c.cert, c.authority, c.list)}}, now)
			require.Len(t, ps, 1)
			assert.Equal(t, c.ok, ps[0].OK)
			assert.Equal(t, c.text, ps[0].Text)
			assert.False(t, ps[0].Needed)
		})
	}
	assert.Empty(t, certificatesPart(&realm.Set{}, now), "without TLS nothing is said")
}

// TestUnfetchedListIsShown: a list that cannot be had is somebody's business.
func TestUnfetchedListIsShown(t *testing.T) {
	now := time.Now()
	set := &realm.Set{Securities: []*realm.Security{ending(t, now, 40, 400, 1)}}
	b := pki.Base{Authorities: []pki.File{{Data: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: set.Securities[0].Trust.Authorities[0].Raw})}}, Points: []string{"http://crl.example/ca.crl"}}
	set.Securities[0].Trust, _ = pki.NewTrust(b, now)
	s := &server{log: zap.NewNop()}
	s.watchLists(set)
	ps := certificatesPart(set, now)
	require.Len(t, ps, 1)
	assert.False(t, ps[0].OK)
	assert.Equal(t, "the list of what was revoked of roaming could not be fetched: http://crl.example/ca.crl", ps[0].Text)
}

// TestExpiryStages: the log speaks at 30, 14 and 7 days, then every day, and
// again when a new certificate comes near its end.
func TestExpiryStages(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	e := expiry{ownRole, "roaming", now.AddDate(0, 0, 40)}
	said, lines := 0, []int{}
	for day := range 42 {
		stage := e.stage(now.AddDate(0, 0, day))
		if stage > said || stage == lastStage {
			lines = append(lines, e.days(now.AddDate(0, 0, day)))
		}
		said = stage
	}
	assert.Equal(t, []int{30, 14, 7, 6, 5, 4, 3, 2, 1, 0, -1}, lines)
	list := expiry{crlRole, "roaming", now.Add(time.Hour)}
	assert.Zero(t, list.stage(now), "a list lives for days only")
	assert.Equal(t, lastStage, list.stage(now.Add(2*time.Hour)))
}

// TestWarnCertificates: what was said is not said again before it is worse.
func TestWarnCertificates(t *testing.T) {
	now := time.Now()
	all := expiries(&realm.Set{Securities: []*realm.Security{ending(t, now, 20, 400, 90)}})
	core, logs := observer.New(zap.InfoLevel)
	s := &server{log: zap.New(core)}
	said := s.warnCertificates(all, now, nil)
	require.Equal(t, 1, logs.Len())
	assert.Equal(t, "our certificate of roaming has 20 days left", logs.All()[0].ContextMap()["text"])
	said = s.warnCertificates(all, now.Add(24*time.Hour), said)
	assert.Equal(t, 1, logs.Len())
	said = s.warnCertificates(all, now.Add(7*24*time.Hour), said)
	assert.Equal(t, 2, logs.Len())
	s.warnCertificates(all, now.Add(20*24*time.Hour), said)
	assert.Equal(t, zap.ErrorLevel, logs.All()[logs.Len()-1].Level)
}

// TestTakeCertificates: a refused configuration takes no list from the one that
// stays.
func TestTakeCertificates(t *testing.T) {
	now := time.Now()
	s := &server{log: zap.NewNop(), stats: stat.NewRegistry()}
	old, next := &realm.Set{Securities: []*realm.Security{ending(t, now, 20, 400, 1)}}, &realm.Set{}
	s.watchLists(old)
	refused := errors.New("refused")
	assert.ErrorIs(t, s.takeCertificates(old, next, func() error { return refused }), refused)
	assert.Empty(t, exposed(s.stats))
	require.NoError(t, s.takeCertificates(next, old, func() error { return nil }))
	assert.Contains(t, exposed(s.stats), `role="ca"`)
	require.NoError(t, s.takeCertificates(old, next, func() error { return nil }))
	assert.NotContains(t, exposed(s.stats), `role="ca"`)
}

func exposed(r *stat.Registry) string {
	var b strings.Builder
	r.EachOf("roamgate_tls_cert_expiry_timestamp_seconds", func(labels []string, v float64) {
		for i := 0; i+1 < len(labels); i += 2 {
			b.WriteString(labels[i] + "=\"" + labels[i+1] + "\" ")
		}
	})
	return b.String()
}

// TestHubFetchesLists: a running hub fetches what its files name, and shows what
// ends.
func TestHubFetchesLists(t *testing.T) {
	lab := labCA(t)
	crl, err := os.ReadFile(filepath.Join(lab, "crl.pem"))
	require.NoError(t, err)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(crl) }))
	defer site.Close()
	h := prepare(t, "")
	write(t, h.dir, map[string]string{"realms/tls.yaml": tlsEntry(lab, "crls: ["+site.URL+"/ca.crl]", "crl_hosts: [127.0.0.0/8]")})
	h.serve()
	peer.Eventually(t, limit, "the list is there", func() bool {
		page := h.page(http.StatusOK, "/metrics")
		for line := range strings.Lines(page) {
			if strings.HasPrefix(line, `roamgate_tls_cert_expiry_timestamp_seconds{name="roaming",role="crl"}`) {
				return !strings.HasSuffix(line, " 0\n")
			}
		}
		return false
	})
	assert.Contains(t, h.page(http.StatusOK, "/status"), "our certificate of roaming has 36")
}

// tlsEntry is a routing file with an entry of tls from the authority in lab.
func tlsEntry(lab string, more ...string) string {
	at := func(name string) string { return filepath.Join(lab, name) }
	lines := append([]string{"tls:\n  - name: roaming", "certificate: " + at("radius.pem"), "key: " + at("radius.key"), "authorities: [" + at("ca.pem") + "]"}, more...)
	return strings.Join(lines, "\n    ") + "\n"
}
