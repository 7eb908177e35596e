package pki_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/pki/issue"
)

// TestRevocation: what the three words of the routing files take, by the CRLs
// that there are.
func TestRevocation(t *testing.T) {
	ca := root(t, "root")
	sub := below(t, ca, issue.Profile{Names: issue.Names{Common: "sub"}})
	good, bad := leaf(t, sub, issue.Profile{Names: names}), leaf(t, sub, issue.Profile{Names: names})
	crl := func(a *issue.Authority, until time.Duration, serials ...*big.Int) pki.File {
		der, err := a.Revoke(7, now.Add(-48*time.Hour), now.Add(until), serials...)
		require.NoError(t, err)
		return pki.File{Name: "crl.der", Data: der}
	}
	rootGood, rootBad := crl(ca, time.Hour), crl(ca, time.Hour, sub.Cert.SerialNumber)
	subList, subStale := crl(sub, time.Hour, bad.Cert.SerialNumber), crl(sub, -time.Hour, bad.Cert.SerialNumber)
	text := pki.File{Name: "crl.pem", Data: pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: subList.Data})}
	forged := pki.File{Name: "crl.der", Data: append([]byte(nil), subList.Data...)}
	forged.Data[len(forged.Data)-5] ^= 1

	for _, c := range []struct {
		name                 string
		crls                 []pki.File
		pair                 *issue.Pair
		check, require_, off pki.Cause
	}{
		{"no CRL", nil, good, pki.None, pki.NoCRL, pki.None},
		{"one for each issuer", []pki.File{rootGood, subList}, good, pki.None, pki.None, pki.None},
		{"in PEM text", []pki.File{rootGood, text}, bad, pki.Revoked, pki.Revoked, pki.None},
		{"none for the root", []pki.File{subList}, good, pki.None, pki.NoCRL, pki.None},
		{"revoked", []pki.File{rootGood, subList}, bad, pki.Revoked, pki.Revoked, pki.None},
		{"an authority that is revoked", []pki.File{rootBad, subList}, good, pki.Revoked, pki.Revoked, pki.None},
		{"past its time, good", []pki.File{rootGood, subStale}, good, pki.None, pki.StaleCRL, pki.None},
		{"past its time, revoked", []pki.File{rootGood, subStale}, bad, pki.Revoked, pki.Revoked, pki.None},
		{"one is fresh", []pki.File{rootGood, subStale, subList}, good, pki.None, pki.None, pki.None},
		{"forged", []pki.File{rootGood, forged}, bad, pki.None, pki.NoCRL, pki.None},
	} {
		t.Run(c.name, func(t *testing.T) {
			for word, want := range map[pki.Revocation]pki.Cause{pki.RevocationCheck: c.check, pki.RevocationRequire: c.require_, pki.RevocationOff: c.off} {
				b := base(ca)
				b.CRLs, b.Revocation = c.crls, word
				_, why := trust(t, b).Verify(c.pair.Chain(), pki.Client, now)
				assert.Equal(t, want.String(), why.String(), "%s", word)
			}
		})
	}
}

// TestCRLParts: a CRL that speaks for some certificates speaks for no others,
// and one that is not understood for none.
func TestCRLParts(t *testing.T) {
	ca := root(t, "root")
	const here, there = "http://crl.example/1", "http://crl.example/2"
	pair := leaf(t, ca, issue.Profile{Names: names, Points: []string{here}})
	point := func(address string) []byte {
		inner := append([]byte{0x86, byte(len(address))}, address...)
		for _, tag := range []byte{0xa0, 0xa0, 0x30} {
			inner = append([]byte{tag, byte(len(inner))}, inner...)
		}
		return inner
	}
	idp, delta := asn1.ObjectIdentifier{2, 5, 29, 28}, asn1.ObjectIdentifier{2, 5, 29, 27}
	for _, c := range []struct {
		name  string
		id    asn1.ObjectIdentifier
		value []byte
		want  pki.Cause
		wrong string
	}{
		{"of its own point", idp, point(here), pki.Revoked, ""},
		{"of another point", idp, point(there), pki.NoCRL, ""},
		{"of users", idp, []byte{0x30, 3, 0x81, 1, 0xff}, pki.Revoked, ""},
		{"of authorities", idp, []byte{0x30, 3, 0x82, 1, 0xff}, pki.NoCRL, ""},
		{"indirect", idp, []byte{0x30, 3, 0x84, 1, 0xff}, 0, "other issuers"},
		{"of some reasons", idp, []byte{0x30, 4, 0x83, 2, 7, 0x80}, 0, "some reasons"},
		{"cut off", idp, []byte{0x30, 3, 0x81}, 0, "cannot be read"},
		{"a delta", delta, []byte{2, 1, 1}, 0, "delta"},
	} {
		t.Run(c.name, func(t *testing.T) {
			der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
				Number: big.NewInt(1), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour),
				RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: pair.Cert.SerialNumber, RevocationTime: now}},
				ExtraExtensions:           []pkix.Extension{{Id: c.id, Critical: true, Value: c.value}},
			}, ca.Cert, ca.Key)
			require.NoError(t, err)
			b := base(ca)
			b.CRLs, b.Revocation = []pki.File{{Name: "crl", Data: der}}, pki.RevocationRequire
			made, wrong := pki.NewTrust(b, now)
			if c.wrong != "" {
				require.Nil(t, made)
				assert.Contains(t, wrong[0].Text, c.wrong)
				return
			}
			_, why := made.Verify(pair.Chain(), pki.Client, now)
			assert.Equal(t, c.want.String(), why.String())
		})
	}
}

// TestStaples: what a stapled OCSP response is worth.
func TestStaples(t *testing.T) {
	ca := root(t, "root")
	must := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 3, 2, 1, 5}}
	plain, promised := leaf(t, ca, issue.Profile{Names: names}), leaf(t, ca, issue.Profile{Names: names, Extra: []pkix.Extension{must}})
	responder := leaf(t, ca, issue.Profile{Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}})
	lapsed := leaf(t, ca, issue.Profile{Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, NotAfter: now.Add(-time.Hour)})
	stranger := root(t, "root")
	answer := func(by *issue.Pair, of *issue.Pair, status int, until time.Duration) []byte {
		r := ocsp.Response{Status: status, SerialNumber: of.Cert.SerialNumber, ThisUpdate: now.Add(-2 * time.Hour), NextUpdate: now.Add(until), RevokedAt: now.Add(-time.Hour)}
		if by != &ca.Pair {
			r.Certificate = by.Cert
		}
		der, err := ocsp.CreateResponse(ca.Cert, by.Cert, r, by.Key)
		require.NoError(t, err)
		return der
	}
	for _, c := range []struct {
		name   string
		pair   *issue.Pair
		staple []byte
		as     pki.Role
		check  pki.Cause
		hard   pki.Cause
	}{
		{"none", plain, nil, pki.Server, pki.None, pki.NoCRL},
		{"good", plain, answer(&ca.Pair, plain, ocsp.Good, time.Hour), pki.Server, pki.None, pki.None},
		{"good, of a client", plain, answer(&ca.Pair, plain, ocsp.Good, time.Hour), pki.Client, pki.None, pki.None},
		{"good, by a responder", plain, answer(responder, plain, ocsp.Good, time.Hour), pki.Server, pki.None, pki.None},
		{"good, by somebody with a certificate of the issuer", plain, answer(promised, plain, ocsp.Good, time.Hour), pki.Server, pki.BadStaple, pki.BadStaple},
		{"good, by a responder that expired", plain, answer(lapsed, plain, ocsp.Good, time.Hour), pki.Server, pki.BadStaple, pki.BadStaple},
		{"good, by a stranger", plain, answer(&stranger.Pair, plain, ocsp.Good, time.Hour), pki.Server, pki.BadStaple, pki.BadStaple},
		{"of another", plain, answer(&ca.Pair, promised, ocsp.Good, time.Hour), pki.Server, pki.BadStaple, pki.BadStaple},
		{"revoked", plain, answer(&ca.Pair, plain, ocsp.Revoked, time.Hour), pki.Server, pki.Revoked, pki.Revoked},
		{"unknown", plain, answer(&ca.Pair, plain, ocsp.Unknown, time.Hour), pki.Server, pki.BadStaple, pki.BadStaple},
		{"past its time", plain, answer(&ca.Pair, plain, ocsp.Good, -time.Hour), pki.Server, pki.None, pki.NoCRL},
		{"no ASN.1", plain, []byte("hello"), pki.Server, pki.BadStaple, pki.BadStaple},
		{"huge", plain, make([]byte, 1<<20), pki.Server, pki.BadStaple, pki.BadStaple},
		{"promised and none", promised, nil, pki.Server, pki.NoStaple, pki.NoStaple},
		{"promised and past its time", promised, answer(&ca.Pair, promised, ocsp.Good, -time.Hour), pki.Server, pki.NoStaple, pki.NoStaple},
		{"promised and good", promised, answer(&ca.Pair, promised, ocsp.Good, time.Hour), pki.Server, pki.None, pki.None},
		{"promised by a client, who cannot", promised, nil, pki.Client, pki.None, pki.NoCRL},
	} {
		t.Run(c.name, func(t *testing.T) {
			cs := &tls.ConnectionState{PeerCertificates: c.pair.Chain(), OCSPResponse: c.staple}
			for word, want := range map[pki.Revocation]pki.Cause{pki.RevocationCheck: c.check, pki.RevocationRequire: c.hard, pki.RevocationOff: pki.None} {
				b := base(ca)
				b.Revocation = word
				id, why := trust(t, b).VerifyConnection(cs, c.as, now)
				assert.Equal(t, want.String(), why.String(), "%s", word)
				if why == pki.None && word != pki.RevocationOff {
					_, again := trust(t, b).Again(id, now)
					assert.Equal(t, pki.None.String(), again.String(), "of a live peer, %s", word)
				}
			}
		})
	}
	t.Run("our own", func(t *testing.T) {
		sub := below(t, ca, issue.Profile{Names: issue.Names{Common: "sub"}})
		pair := leaf(t, sub, issue.Profile{Names: names})
		cert, key := files(t, pair)
		for name, c := range map[string]struct {
			status int
			until  time.Duration
			text   string
			fatal  bool
		}{
			"good":    {ocsp.Good, time.Hour, "", false},
			"stale":   {ocsp.Good, -time.Hour, "to be renewed", false},
			"revoked": {ocsp.Revoked, time.Hour, "not good", true},
		} {
			der, err := ocsp.CreateResponse(sub.Cert, sub.Cert, ocsp.Response{Status: c.status, SerialNumber: pair.Cert.SerialNumber, ThisUpdate: now.Add(-2 * time.Hour), NextUpdate: now.Add(c.until)}, sub.Key)
			require.NoError(t, err)
			made, wrong := pki.NewCredential(cert, key, pki.File{Name: "staple.der", Data: der}, now)
			assert.Equal(t, !c.fatal, made != nil, name)
			if c.text == "" {
				assert.Empty(t, wrong)
				assert.Equal(t, der, made.TLS.OCSPStaple)
			} else if assert.Len(t, wrong, 1, name) {
				assert.Contains(t, wrong[0].Text, c.text)
			}
		}
		_, wrong := pki.NewCredential(cert, key, pki.File{Name: "staple.der", Data: []byte("x")}, now)
		assert.True(t, len(wrong) == 1 && strings.Contains(wrong[0].Text, "no OCSP response"))
	})
}
