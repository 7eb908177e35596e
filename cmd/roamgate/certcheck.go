package main

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/pkg/pki"
)

// certCheck is what a chain is held against.
type certCheck struct {
	trust, crls, policies []string
	realms, hosts, addrs  []string
	operators             []string
	role, at, connect     string
	cert, key, name       string
	require               bool

	now   time.Time
	roles []pki.Role
	given *pki.Trust       // instead of trust and its like
	shows *tls.Certificate // instead of cert and key
}

func certCheckCommand() *cobra.Command {
	var check certCheck
	c := &cobra.Command{
		Use:   "check [FILE...]",
		Short: "Say in words what a peer would find wrong with a certificate",
		Long: `Say what certificates say of their holder, and what a peer would find wrong
with them: the order of the chain, names, policies, keys, the days that are
left. The files, PEM text, together are what is shown: our own certificate, then
its issuers. With --trust the chain is judged as the hub judges its peers, and
with --realm and its like also whose it is.

--connect asks a live server instead, and says what was negotiated with it;
--cert and --key are what we show there.

Exit code 0: nothing is wrong; 1: something is; 3: the server does not answer.`,
		Example: "  roamgate cert check radius.pem --key radius.key\n" +
			"  roamgate cert check radius.pem --trust ca.pem --realm example.org --role server\n" +
			"  roamgate cert check --connect radius.example.org:2083 --trust ca.pem --cert radius.pem --key radius.key",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := check.read(cmd, args); err != nil {
				return err
			}
			if check.connect != "" {
				return check.server(cmd)
			}
			return check.files(cmd.OutOrStdout(), args)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&check.trust, "trust", nil, "file with authorities that a peer trusts; repeatable")
	f.StringArrayVar(&check.crls, "crl", nil, "file with a list of what an authority has revoked; repeatable")
	f.BoolVar(&check.require, "require-crl", false, "refuse what is not known to be good")
	f.StringArrayVar(&check.policies, "policy", nil, "certificate policy that a peer asks for; repeatable, one must hold")
	f.StringArrayVar(&check.realms, "realm", nil, "realm that the certificate must name; repeatable")
	f.StringArrayVar(&check.hosts, "host", nil, "host that the certificate must name; repeatable")
	f.StringArrayVar(&check.addrs, "address", nil, "IP address that the certificate must name; repeatable")
	f.StringArrayVar(&check.operators, "operator", nil, "WBAID that the certificate must name; repeatable")
	f.StringVar(&check.role, "role", "both", "who shows it: client, server or both")
	f.StringVar(&check.at, "at", "", "judge as of this time (2026-12-31 or RFC 3339; default: now)")
	f.StringVar(&check.connect, "connect", "", "HOST:PORT of a server to ask")
	f.StringVar(&check.cert, "cert", "", "file with the certificate that we show to it")
	f.StringVar(&check.key, "key", "", "file with the key of the certificate")
	f.StringVar(&check.name, "sni", "", "server name that we ask for (default: HOST)")
	return c
}

func (c *certCheck) read(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0 && c.connect == "":
		return misuse(cmd, "FILE is missing, or --connect")
	case len(args) > 0 && c.connect != "":
		return misuse(cmd, "--connect takes no files: what we show is --cert")
	case c.cert != "" && c.key == "":
		return misuse(cmd, "--cert needs --key")
	}
	c.now = time.Now()
	if c.at != "" {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			at, err = time.Parse(time.DateOnly, c.at)
		}
		if err != nil {
			return misuse(cmd, "--at %q is no time", c.at)
		}
		c.now = at
	}
	for _, text := range c.addrs {
		if _, err := netip.ParseAddr(text); err != nil {
			return misuse(cmd, "--address %q is no IP address", text)
		}
	}
	if _, err := usages(cmd, c.role); err != nil {
		return err
	}
	if c.role != "server" {
		c.roles = append(c.roles, pki.Client)
	}
	if c.role != "client" {
		c.roles = append(c.roles, pki.Server)
	}
	return nil
}

// files judges a chain of files.
func (c *certCheck) files(out io.Writer, paths []string) error {
	shown := pki.File{Name: strings.Join(paths, " ")}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return problem("reading the certificate: %v", err)
		}
		shown.Data = append(append(shown.Data, data...), '\n')
	}
	var chain []*x509.Certificate
	var wrong []pki.Mistake
	if c.key != "" {
		key, err := os.ReadFile(c.key)
		if err != nil {
			return problem("reading the key: %v", err)
		}
		chain, _ = pki.Certificates(shown)
		_, wrong = pki.NewCredential(shown, pki.File{Name: c.key, Data: key}, pki.File{}, c.now)
	} else {
		chain, wrong = pki.Inspect(shown, c.now)
	}
	c.show(out, chain)
	return c.judge(out, chain, nil, wrong)
}

// judge says what is wrong, and whether the chain is accepted.
func (c *certCheck) judge(out io.Writer, chain []*x509.Certificate, staple []byte, wrong []pki.Mistake) error {
	bad := 0
	for _, m := range wrong {
		word := "error"
		if m.Warning {
			word = "warning"
		} else {
			bad++
		}
		fmt.Fprintf(out, "%s: %s\n", word, m.Error())
	}
	if len(chain) == 0 {
		return problem("%s", count(bad, "mistake"))
	}
	if len(c.trust) == 0 && c.given == nil {
		last := chain[len(chain)-1]
		fmt.Fprintf(out, "issued by %q: --trust with its certificate says whether a peer accepts the chain\n", last.Issuer.String())
	} else {
		trust, err := c.base(out)
		if err != nil {
			return err
		}
		for _, role := range c.roles {
			bad += c.accepted(out, trust, chain, staple, role)
		}
	}
	bad += c.named(out, chain[0])
	if bad > 0 {
		return &exitError{exitProblem, ""}
	}
	return nil
}

// base is the trust base of the flags.
func (c *certCheck) base(out io.Writer) (*pki.Trust, error) {
	if c.given != nil {
		return c.given, nil
	}
	b := pki.Base{Policies: c.policies}
	if c.require {
		b.Revocation = pki.RevocationRequire
	}
	for _, list := range []struct {
		paths []string
		to    *[]pki.File
	}{{c.trust, &b.Authorities}, {c.crls, &b.CRLs}} {
		for _, path := range list.paths {
			data, err := os.ReadFile(path)
			if err != nil {
				return nil, problem("reading the trust base: %v", err)
			}
			*list.to = append(*list.to, pki.File{Name: path, Data: data})
		}
	}
	trust, wrong := pki.NewTrust(b, c.now)
	for _, m := range wrong {
		fmt.Fprintf(out, "trust base: %s\n", m.Error())
	}
	if trust == nil {
		return nil, problem("the trust base cannot be used")
	}
	return trust, nil
}

// accepted says whether a peer takes the chain, and counts 1 if not.
func (c *certCheck) accepted(out io.Writer, trust *pki.Trust, chain []*x509.Certificate, staple []byte, role pki.Role) int {
	who := "client"
	if role == pki.Server {
		who = "server"
	}
	id, why := trust.VerifyStapled(chain, staple, role, c.now)
	if why != pki.None {
		fmt.Fprintf(out, "as a %s: refused: %s (%s)\n", who, why.Text(), why)
		return 1
	}
	fmt.Fprintf(out, "as a %s: accepted until %s%s\n", who, id.NotAfter.UTC().Format(time.RFC3339), listed(", policies ", id.Policies))
	return 0
}

// named says whether the certificate has each name that was asked for.
func (c *certCheck) named(out io.Writer, leaf *x509.Certificate) (missing int) {
	id, why := pki.Read(leaf)
	if why != pki.None {
		id = &pki.Identity{}
	}
	for _, kind := range []struct {
		word  string
		names []string
		has   func(string) bool
	}{
		{"realm", c.realms, id.HasRealm},
		{"host", c.hosts, id.HasHost},
		{"address", c.addrs, func(a string) bool { return id.HasAddr(netip.MustParseAddr(a)) }},
		{"operator", c.operators, id.HasOperator},
	} {
		for _, name := range kind.names {
			if kind.has(name) {
				fmt.Fprintf(out, "%s %s: the certificate names it\n", kind.word, name)
				continue
			}
			missing++
			fmt.Fprintf(out, "%s %s: %s\n", kind.word, name, pki.WrongName.Text())
		}
	}
	return missing
}

// show prints what each certificate says.
func (c *certCheck) show(out io.Writer, chain []*x509.Certificate) {
	for i, cert := range chain[:min(len(chain), pki.MaxChain)] {
		fmt.Fprintf(out, "certificate %d: %q\n", i+1, cert.Subject.String())
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		id, why := pki.Read(cert)
		switch {
		case why != pki.None:
			fmt.Fprintf(w, "  names\t%s\n", why.Text())
		default:
			line(w, "NAIRealm", id.Realms)
			line(w, "dNSName", id.Hosts)
			line(w, "iPAddress", addresses(id.Addrs))
			if id.Operator != "" {
				line(w, "operator", []string{id.Operator})
			}
		}
		fmt.Fprintf(w, "  valid\t%s to %s, %s\n", cert.NotBefore.UTC().Format(time.DateOnly), cert.NotAfter.UTC().Format(time.DateOnly), daysLeft(cert.NotAfter, c.now))
		fmt.Fprintf(w, "  key\t%s, signed with %s\n", keyText(cert), cert.SignatureAlgorithm)
		fmt.Fprintf(w, "  usage\t%s\n", usageText(cert))
		policies := make([]string, len(cert.Policies))
		for i, p := range cert.Policies {
			policies[i] = p.String()
		}
		line(w, "policies", policies)
		line(w, "CRL at", cert.CRLDistributionPoints)
		fmt.Fprintf(w, "  serial\t%x, issued by %q\n", cert.SerialNumber, cert.Issuer.String())
		_ = w.Flush()
	}
}

// line prints names, quoted where they are not plain; of a thousand the first.
func line(w io.Writer, word string, names []string) {
	if len(names) > 0 {
		fmt.Fprintf(w, "  %s\t%s\n", word, listed("", names))
	}
}

func listed(before string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	const most = 20
	shown := slices.Clone(names[:min(len(names), most)])
	for i, name := range shown {
		if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || notASCII(r) }) {
			shown[i] = fmt.Sprintf("%q", name)
		}
	}
	text := before + strings.Join(shown, " ")
	if len(names) > most {
		text += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return text
}

func addresses(addrs []netip.Addr) []string {
	all := make([]string, len(addrs))
	for i, a := range addrs {
		all[i] = a.String()
	}
	return all
}

// daysLeft counts whole days.
func daysLeft(end, now time.Time) string {
	left := end.Sub(now)
	if left < 0 {
		return "expired"
	}
	return count(int(left/(24*time.Hour)), "day") + " left"
}

func keyText(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Params().Name
	}
	return c.PublicKeyAlgorithm.String()
}

func usageText(c *x509.Certificate) string {
	var words []string
	if c.IsCA {
		words = append(words, "authority")
	}
	for _, u := range c.ExtKeyUsage {
		switch u {
		case x509.ExtKeyUsageClientAuth:
			words = append(words, "client")
		case x509.ExtKeyUsageServerAuth:
			words = append(words, "server")
		case x509.ExtKeyUsageAny:
			words = append(words, "any")
		default:
			words = append(words, "other")
		}
	}
	return cmp.Or(strings.Join(words, ", "), "client, server (it is not restricted)")
}
