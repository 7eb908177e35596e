package pki

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"
)

// maxStaple bounds an OCSP response: one with its responder's chain has 4 KiB.
const maxStaple = 32 << 10

// statusRequest is the TLS extension that must-staple names (RFC 7633).
const statusRequest = 5

var oidTLSFeature = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}

// mustStaple reports whether a certificate promises a stapled OCSP response.
func mustStaple(c *x509.Certificate) bool {
	for _, e := range c.Extensions {
		if !e.Id.Equal(oidTLSFeature) {
			continue
		}
		in, seq := cryptobyte.String(e.Value), cryptobyte.String(nil)
		for in.ReadASN1(&seq, tag.SEQUENCE); !seq.Empty(); {
			var feature int
			if !seq.ReadASN1Integer(&feature) {
				return true // it promises something
			}
			if feature == statusRequest {
				return true
			}
		}
	}
	return false
}

// judgeStaple judges an OCSP response for c. One that is past its time proves
// nothing, as if none had come, unless c promises a fresh one.
func judgeStaple(der []byte, c, issuer *x509.Certificate, now time.Time) (fresh bool, why Cause) {
	r, err := readStaple(der, c, issuer, now)
	switch {
	case err != nil:
		return false, BadStaple
	case r.Status == ocsp.Revoked:
		return false, Revoked
	case r.Status != ocsp.Good:
		return false, BadStaple
	case stapleStale(r, now):
		if mustStaple(c) {
			return false, NoStaple
		}
		return false, None
	}
	return true, None
}

func stapleStale(r *ocsp.Response, now time.Time) bool {
	return r.NextUpdate.IsZero() || now.After(r.NextUpdate) || now.Add(crlSlack).Before(r.ThisUpdate)
}

func readStaple(der []byte, c, issuer *x509.Certificate, now time.Time) (*ocsp.Response, error) {
	if len(der) > maxStaple {
		return nil, fmt.Errorf("it is larger than %d octets", maxStaple)
	}
	r, err := ocsp.ParseResponseForCert(der, c, issuer)
	if err != nil {
		return nil, err
	}
	// Whoever else has a certificate of that issuer may not answer for it.
	if by := r.Certificate; by != nil && !by.Equal(issuer) {
		if !slices.Contains(by.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
			return nil, fmt.Errorf("it is signed by %q, who is no OCSP responder of the issuer", clean(by.Subject.String()))
		}
		if now.After(by.NotAfter) || now.Before(by.NotBefore) {
			return nil, fmt.Errorf("the certificate of the responder is not valid now")
		}
	}
	return r, nil
}

// staple judges what is to be stapled to our own certificate.
func (m *mistakes) staple(chain []*x509.Certificate, f File, now time.Time) {
	if len(chain) < 2 {
		m.warn(f.Name, "the OCSP response cannot be judged without the issuer's certificate", "put the intermediates into the file of the certificate")
		return
	}
	r, err := readStaple(f.Data, chain[0], chain[1], now)
	switch {
	case err != nil:
		m.wrong(f.Name, "is no OCSP response for our certificate: "+clean(err.Error()), "openssl ocsp ... -respout "+f.Name+" writes one, in DER")
	case r.Status != ocsp.Good:
		m.wrong(f.Name, "the OCSP response says that our certificate is not good", "ask its issuer why")
	case stapleStale(r, now):
		m.warn(f.Name, "the OCSP response was to be renewed at "+r.NextUpdate.UTC().Format(time.RFC3339), "peers will take it for none")
	}
}
