package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/pki/issue"
)

func certCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "cert",
		Short: "Check certificates, ask for them, and issue them for labs",
		Long: `Work with the certificates of RADIUS over TLS. Peers go by the names in the
subjectAltName: NAIRealm (the realms that a home serves), dNSName and iPAddress;
an operator of OpenRoaming has its WBAID in the UID of the subject. The common
name is for people alone.`,
		Example: "  roamgate cert check radius.pem --trust ca.pem\n  roamgate cert csr radius --realm example.org --host radius.example.org",
	}, certCheckCommand(), certCSRCommand(), certNewCACommand(), certIssueCommand())
}

// holder are the flags that name who a certificate is for.
type holder struct {
	issue.Names
	addrs []string
}

func (h *holder) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&h.Realms, "realm", nil, "realm that is served (NAIRealm); *.example.org has one more label; repeatable")
	f.StringArrayVar(&h.Hosts, "host", nil, "host name (dNSName); repeatable")
	f.StringArrayVar(&h.addrs, "address", nil, "IP address (iPAddress); repeatable")
	f.StringVar(&h.Operator, "operator", "", "WBAID, such as EXAMPLE:US (UID of the subject)")
	f.StringVar(&h.Common, "name", "", "common name, for people (default: the first of the names)")
}

func (h *holder) read(cmd *cobra.Command) (issue.Names, error) {
	n := h.Names
	for _, realm := range n.Realms {
		if _, _, why := nai.Split([]byte("user@" + strings.TrimPrefix(realm, "*."))); why != nai.OK {
			return n, misuse(cmd, "--realm %q is no realm: %s", realm, why)
		}
	}
	for _, host := range n.Hosts {
		if _, _, why := nai.Split([]byte("user@" + strings.TrimPrefix(host, "*."))); why != nai.OK && why != nai.NoDot || strings.ContainsFunc(host, notASCII) {
			return n, misuse(cmd, "--host %q is no host name", host)
		}
	}
	for _, text := range h.addrs {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return n, misuse(cmd, "--address %q is no IP address", text)
		}
		n.Addrs = append(n.Addrs, addr.Unmap())
	}
	if len(n.Realms)+len(n.Hosts)+len(n.Addrs) == 0 {
		return n, misuse(cmd, "--realm, --host or --address is missing: no peer goes by a common name")
	}
	if strings.ContainsFunc(n.Operator, func(r rune) bool { return r <= ' ' || notASCII(r) }) {
		return n, misuse(cmd, "--operator %q is no WBAID", n.Operator)
	}
	if n.Common == "" {
		n.Common = append(append(append([]string(nil), n.Hosts...), n.Realms...), h.addrs...)[0]
	}
	return n, nil
}

func notASCII(r rune) bool { return r >= 0x7f }

func certCSRCommand() *cobra.Command {
	var h holder
	c := &cobra.Command{
		Use:   "csr FILE",
		Short: "Make a key and a certificate request",
		Long: `Make a key (ECDSA P-256), FILE.key, which the owner alone can read, and a
certificate request (PKCS #10) for it, FILE.csr, which goes to the authority of
your federation. Neither overwrites a file. Give every realm that you serve, and
the names by which others connect to you; authorities may add or drop names, so
look at what comes back with roamgate cert check.`,
		Example: "  roamgate cert csr radius --realm example.org --host radius.example.org\n" +
			"  roamgate cert csr radius --realm example.org --operator EXAMPLE:US",
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := h.read(cmd)
			if err != nil {
				return err
			}
			request, key, err := issue.Request(n)
			if err != nil {
				return problem("making the request: %v", err)
			}
			if err := create(newFile{args[0] + ".key", key, 0o600}, newFile{args[0] + ".csr", request, 0o644}); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s.key has the key: keep it to yourself\n%s.csr goes to your authority\n", args[0], args[0])
			return nil
		},
	}
	h.flags(c.Flags())
	return c
}

func certNewCACommand() *cobra.Command {
	var name string
	var days int
	c := &cobra.Command{
		Use:   "new-ca DIRECTORY",
		Short: "Make an authority for a lab",
		Long: `Make an authority for a lab or for first steps: ca.pem, which peers trust,
ca.key, which the owner alone can read, and crl.pem, an empty list of what it
has revoked. Nothing is overwritten. roamgate cert issue gives certificates
from it.

It keeps no record of what it issues and revokes nothing: for peers of other
people use the authority of your federation.`,
		Example: "  roamgate cert new-ca lab\n  roamgate cert new-ca lab --name our-lab --days 90",
		Args:    exactly("DIRECTORY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, until, err := lasting(cmd, days)
			if err != nil {
				return err
			}
			ca, err := issue.NewAuthority(issue.Profile{Names: issue.Names{Common: name}, NotBefore: from, NotAfter: until})
			if err != nil {
				return problem("making the authority: %v", err)
			}
			cert, key, err := ca.PEM()
			if err != nil {
				return problem("making the authority: %v", err)
			}
			crl, err := ca.Revoke(1, from, until)
			if err != nil {
				return problem("making the list of what is revoked: %v", err)
			}
			if err := os.MkdirAll(args[0], 0o700); err != nil {
				return problem("making the directory: %v", err)
			}
			at := func(name string) string { return filepath.Join(args[0], name) }
			err = create(newFile{at("ca.key"), key, 0o600}, newFile{at("ca.pem"), cert, 0o644},
				newFile{at("crl.pem"), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: crl}), 0o644})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is what peers trust, until %s\n", at("ca.pem"), until.Format(time.DateOnly))
			return nil
		},
	}
	c.Flags().StringVar(&name, "name", "roamgate lab authority", "its name, for people")
	c.Flags().IntVar(&days, "days", 3650, "how long it is valid")
	return c
}

func certIssueCommand() *cobra.Command {
	var h holder
	var role string
	var policies []string
	var days int
	c := &cobra.Command{
		Use:   "issue DIRECTORY NAME",
		Short: "Issue a certificate from the authority of a lab",
		Long: `Issue a certificate from the authority that roamgate cert new-ca made:
DIRECTORY/NAME.pem, and DIRECTORY/NAME.key, which the owner alone can read.
Nothing is overwritten.`,
		Example: "  roamgate cert issue lab radius --realm example.org --host radius.example.org\n" +
			"  roamgate cert issue lab visited --host ap.example.net --role client --policy 1.3.6.1.4.1.14122.1.1.1",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return misuse(cmd, "DIRECTORY and NAME are wanted")
			}
			if args[1] != filepath.Base(args[1]) || args[1] == "ca" {
				return misuse(cmd, "NAME %q is no name of a file", args[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := h.read(cmd)
			if err != nil {
				return err
			}
			p := issue.Profile{Names: n, Policies: policies}
			if p.Usages, err = usages(cmd, role); err != nil {
				return err
			}
			if p.NotBefore, p.NotAfter, err = lasting(cmd, days); err != nil {
				return err
			}
			return issueInto(cmd, args[0], args[1], p)
		},
	}
	h.flags(c.Flags())
	c.Flags().StringVar(&role, "role", "both", "what it is good for: client, server or both")
	c.Flags().StringArrayVar(&policies, "policy", nil, "certificate policy, an object identifier; repeatable")
	c.Flags().IntVar(&days, "days", 365, "how long it is valid")
	return c
}

func issueInto(cmd *cobra.Command, dir, name string, p issue.Profile) error {
	ca, err := openAuthority(dir)
	if err != nil {
		return err
	}
	if p.NotAfter.After(ca.Cert.NotAfter) {
		p.NotAfter = ca.Cert.NotAfter
	}
	pair, err := ca.Issue(p)
	if err != nil {
		return problem("issuing the certificate: %v", err)
	}
	cert, key, err := pair.PEM()
	if err != nil {
		return problem("issuing the certificate: %v", err)
	}
	at := filepath.Join(dir, name)
	if err := create(newFile{at + ".key", key, 0o600}, newFile{at + ".pem", cert, 0o644}); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s.pem is valid until %s, %s.key is its key\n", at, p.NotAfter.Format(time.DateOnly), at)
	return nil
}

func openAuthority(dir string) (*issue.Authority, error) {
	var blocks [2]*pem.Block
	for i, name := range []string{"ca.pem", "ca.key"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, problem("reading the authority: %v (roamgate cert new-ca %s makes one)", err, dir)
		}
		if blocks[i], _ = pem.Decode(data); blocks[i] == nil {
			return nil, problem("%s is no PEM text", filepath.Join(dir, name))
		}
	}
	ca, err := issue.Open(blocks[0].Bytes, blocks[1].Bytes)
	if err != nil {
		return nil, problem("%s: %v", dir, err)
	}
	return ca, nil
}

func lasting(cmd *cobra.Command, days int) (from, until time.Time, err error) {
	if days < 1 || days > 36500 {
		return from, until, misuse(cmd, "--days %d is not between 1 and 36500", days)
	}
	now := time.Now().UTC().Truncate(time.Second)
	return now.Add(-5 * time.Minute), now.AddDate(0, 0, days), nil // clocks differ
}

func usages(cmd *cobra.Command, role string) ([]x509.ExtKeyUsage, error) {
	switch role {
	case "client":
		return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, nil
	case "server":
		return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, nil
	case "both":
		return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, nil
	}
	return nil, misuse(cmd, "--role %q is none of client, server, both", role)
}

// newFile is one to be made.
type newFile struct {
	path string
	data []byte
	mode fs.FileMode
}

// create makes files that must not be there yet, all or none.
func create(files ...newFile) error {
	for i, f := range files {
		err := createOne(f)
		if err == nil {
			continue
		}
		for _, made := range files[:i] {
			_ = os.Remove(made.path)
		}
		if errors.Is(err, fs.ErrExist) {
			return problem("%s is there already, and is not overwritten", f.path)
		}
		return problem("writing %s: %v", f.path, err)
	}
	return nil
}

func createOne(f newFile) error {
	to, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
	if err != nil {
		return err
	}
	_, err = bytes.NewReader(f.data).WriteTo(to)
	if err := errors.Join(err, to.Close()); err != nil {
		_ = os.Remove(f.path)
		return err
	}
	return nil
}
