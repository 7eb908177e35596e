package pki_test

import (
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/pki/issue"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectors = "../../test/vectors/pki"

// TestVectors judges the chains of test/vectors/pki, each with the cause that it
// gives, in front of its certificates: the authority first, then what is shown.
func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	paths, err := filepath.Glob(vectors + "/*.pem")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(paths), 8)
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			want, ok := strings.CutPrefix(strings.SplitN(string(data), "\n", 2)[0], "# ")
			require.True(t, ok, "the first line says what is expected")
			certs, wrong := pki.Certificates(pki.File{Name: path, Data: data})
			require.Empty(t, wrong)
			authority := pki.File{Name: path, Data: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certs[0].Raw})}
			_, why := trust(t, pki.Base{Authorities: []pki.File{authority}}).Verify(certs[1:], pki.Client, now)
			assert.Equal(t, want, why.String())
		})
	}
}

// writeVectors makes them; what crypto/x509 does not make by itself is edited.
func writeVectors(t *testing.T) {
	ca := root(t, "root")
	sub := below(t, ca, issue.Profile{Names: issue.Names{Common: "sub"}})
	write := func(name, want string, chain []*x509.Certificate) {
		text := []byte("# " + want + "\n")
		for _, c := range append([]*x509.Certificate{ca.Cert}, chain...) {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
		}
		require.NoError(t, os.WriteFile(filepath.Join(vectors, name+".pem"), text, 0o644))
	}
	shown := func(p issue.Profile) []*x509.Certificate { return leaf(t, sub, p).Chain() }
	many := make([]string, 2000)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	huge := make([]string, 3500)
	for i := range huge {
		huge[i] = fmt.Sprintf("%d.a", i)
	}
	deep := ca
	for i := range pki.MaxChain {
		deep = below(t, deep, issue.Profile{Names: issue.Names{Common: fmt.Sprint("level ", i)}})
	}
	write("good", "none", shown(issue.Profile{Names: names, Policies: []string{policyIDP}}))
	write("common-name-only", "none", shown(issue.Profile{Names: issue.Names{Common: "radius.example"}}))
	write("expired", "expired", shown(issue.Profile{Names: names, NotAfter: now.Add(-time.Hour)}))
	write("not-yet-valid", "not_yet_valid", shown(issue.Profile{Names: names, NotBefore: now.Add(time.Hour)}))
	write("2000-names", "too_many_names", shown(issue.Profile{Names: issue.Names{Hosts: many}}))
	write("3500-realms", "chain_too_big", shown(issue.Profile{Names: issue.Names{Realms: huge}}))
	write("long-chain", "chain_too_long", leaf(t, deep, issue.Profile{Names: names}).Chain())
	write("no-intermediate", "unknown_issuer", shown(issue.Profile{Names: names})[:1])
	write("nul-in-realm", "malformed_name", shown(issue.Profile{Names: issue.Names{Realms: []string{"ok.example\x00.evil.example"}}}))
	write("nul-in-host", "malformed_name", shown(issue.Profile{Names: issue.Names{Hosts: []string{"ok.example\x00.evil.example"}}}))
	write("wildcards", "none", shown(issue.Profile{Names: issue.Names{Realms: []string{"*", "*.*.example", "a*.example"}, Hosts: []string{"*", "*.*.example"}}}))
}

// FuzzNames: no certificate panics, what is read is free of what a log or a
// comparison of names could be tricked with, and is bounded.
func FuzzNames(f *testing.F) {
	paths, _ := filepath.Glob(vectors + "/*.pem")
	for _, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(f, err)
		for rest := data; ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if c, err := x509.ParseCertificate(block.Bytes); err == nil {
				for _, e := range c.Extensions {
					if e.Id.String() == "2.5.29.17" && len(e.Value) < 4096 {
						f.Add(e.Value)
					}
				}
			}
		}
	}
	f.Add(badRealm)
	f.Fuzz(func(t *testing.T, der []byte) {
		id, why := pki.ReadNames(der)
		if why != pki.None {
			return
		}
		if len(id.Realms)+len(id.Hosts)+len(id.Addrs) > pki.MaxNames {
			t.Fatal("too many names")
		}
		for _, name := range append(id.Realms, id.Hosts...) {
			if name == "" || len(name) > 260 || strings.ContainsAny(name, "\x00\r\n \x1b") {
				t.Fatalf("%q was accepted", name)
			}
			if !strings.Contains(name, "*") && !id.HasRealm(name) && !id.HasHost(name) {
				t.Fatalf("%q does not match itself", name)
			}
		}
	})
}

// FuzzCRL: no octets panic.
func FuzzCRL(f *testing.F) {
	ca := root(f, "root")
	f.Add(crlFile(f, ca, "", ca.Cert.SerialNumber).Data)
	f.Add([]byte("-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		crl, wrong := pki.NewCRL(pki.File{Name: "crl", Data: data})
		if (crl == nil) == (len(wrong) == 0) {
			t.Fatal("neither a CRL nor a mistake")
		}
	})
}

// FuzzFiles: no file panics, and whatever is wrong with it fits into one line.
func FuzzFiles(f *testing.F) {
	cert, key := files(f, leaf(f, root(f, "root"), issue.Profile{Names: names}))
	f.Add(cert.Data, key.Data)
	f.Add(key.Data, cert.Data)
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		c, wrong := pki.NewCredential(pki.File{Name: "cert", Data: cert}, pki.File{Name: "key", Data: key}, pki.File{}, now)
		if c == nil && len(wrong) == 0 {
			t.Fatal("neither a credential nor a mistake")
		}
		for _, m := range wrong {
			if strings.ContainsAny(m.Error(), "\r\n\x1b\x00") {
				t.Fatalf("%q", m.Error())
			}
		}
	})
}
