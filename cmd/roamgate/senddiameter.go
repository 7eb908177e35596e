package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/diameter/dict"
	"github.com/roamgate/roamgate/realm/file"
)

// asking is one request to try a Diameter peer with.
type asking struct {
	to                             string
	identity, realm                string
	tls                            bool
	ca, certificate, key, nameThat string

	file                 string
	command, application string
	destHost, destRealm  string
	imsi, user, session  string
	timeout              time.Duration
	out                  io.Writer
	in                   io.Reader
	app                  uint32
}

func sendDiameterCommand() *cobra.Command {
	a := asking{}
	c := &cobra.Command{
		Use:   "diameter [NAME=VALUE ...]",
		Short: "Send a Diameter request",
		Long: `Connect to a Diameter peer, this hub or another, exchange capabilities, send
one request and print the answer as text. The peer must know --identity. The
request is made of flags and further AVPs, or it stands in a file (- is the
input) in the form in which answers are printed:

  ULR app=S6a
  Session-Id: test.example;1;1
  Origin-Host: test.example
  ...

Keys of EAP are not shown. Exit code 0: the answer was a success.`,
		Example: "  roamgate send diameter --to 127.0.0.1:3868 --identity mme.visited.example --command ULR --imsi 262011234567890 --destination-realm epc.mnc001.mcc262.3gppnetwork.org\n" +
			"  roamgate send diameter --to hub.example:5868 --tls --ca ca.pem --cert mme.pem --key mme.key --identity mme.visited.example --file ulr.txt",
		RunE: func(cmd *cobra.Command, args []string) error {
			a.out, a.in = cmd.OutOrStdout(), cmd.InOrStdin()
			switch {
			case a.to == "":
				return misuse(cmd, "--to host:port is missing")
			case a.identity == "":
				return misuse(cmd, "--identity is missing, the Origin-Host that the peer knows")
			case (a.file == "") == (a.command == ""):
				return misuse(cmd, "write --command or --file")
			case a.file != "" && len(args) > 0:
				return misuse(cmd, "%q: with --file all AVPs stand in the file", args[0])
			case (a.certificate == "") != (a.key == ""):
				return misuse(cmd, "--cert and --key go together")
			case !a.tls && (a.ca != "" || a.certificate != "" || a.nameThat != ""):
				return misuse(cmd, "--ca, --cert, --key and --server-name are of --tls")
			}
			if text, hint := file.Identity(a.identity); text != "" {
				return misuse(cmd, "--identity: %s (%s)", text, hint)
			}
			return a.run(cmd.Context(), args)
		},
	}
	f := c.Flags()
	f.StringVar(&a.to, "to", "", "peer `address`, host:port")
	f.StringVar(&a.identity, "identity", "", "Origin-Host, a `name` that the peer knows")
	f.StringVar(&a.realm, "realm", "", "Origin-Realm, default the identity without its first label")
	f.BoolVar(&a.tls, "tls", false, "over TLS")
	f.StringVar(&a.ca, "ca", "", "`file` of authorities, PEM; default the system's")
	f.StringVar(&a.certificate, "cert", "", "`file` of the certificate to show, PEM")
	f.StringVar(&a.key, "key", "", "`file` of its key, PEM")
	f.StringVar(&a.nameThat, "server-name", "", "`name` that the peer's certificate must have; default the host of --to")
	f.StringVar(&a.file, "file", "", "`file` that holds the request as text, - for the input")
	f.StringVar(&a.command, "command", "", "short `name` of the request, such as ULR or AAR, or a code")
	f.StringVar(&a.application, "application", "", "application, such as s6a or nasreq; default that of the command")
	f.StringVar(&a.destRealm, "destination-realm", "", "Destination-Realm; default that of --user")
	f.StringVar(&a.destHost, "destination-host", "", "Destination-Host")
	f.StringVar(&a.imsi, "imsi", "", "User-Name of 3GPP's requests")
	f.StringVar(&a.user, "user", "", "User-Name")
	f.StringVar(&a.session, "session", "", "Session-Id; default a new one")
	f.DurationVar(&a.timeout, "timeout", 5*time.Second, "how long to wait for everything together")
	return c
}

func (a *asking) run(ctx context.Context, args []string) error {
	if a.realm == "" {
		_, a.realm, _ = strings.Cut(a.identity, ".")
	}
	req, err := a.request(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	p, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer p.leave()
	began := time.Now()
	answer, err := p.ask(req)
	if err != nil {
		return err
	}
	took := time.Since(began)
	var m diameter.Message
	if fault := m.Parse(answer); fault != diameter.NoFault {
		fmt.Fprintf(a.out, "%s", private(dict.Format(answer)))
		return problem("the answer is malformed: %s", fault)
	}
	fmt.Fprintf(a.out, "%s in %s: %s\n%s", dict.CommandName(m.Command, false), took.Round(10*time.Microsecond), resultText(&m), private(dict.Format(answer)))
	if !succeeded(&m) {
		return &exitError{code: exitProblem}
	}
	return nil
}

// secretLines are values that nobody may read on a screen.
var secretLines = regexp.MustCompile(`(?m)^( *(?:EAP-Master-Session-Key|User-Password|MS-MPPE-Send-Key|MS-MPPE-Recv-Key)[^:\n]*): .*$`)

func private(text string) string { return secretLines.ReplaceAllString(text, "$1: [secret]") }

// resultOf reads Result-Code, or Experimental-Result with its vendor.
func resultOf(m *diameter.Message) (vendor, result uint32) {
	if r, ok := m.Uint32(diameter.KnownResultCode); ok {
		return 0, r
	}
	var v diameter.AVP
	group := m.Value(diameter.KnownExperimentalResult)
	if diameter.Find(group, diameter.VendorID, 0, &v) {
		vendor, _ = v.Uint32()
	}
	if diameter.Find(group, diameter.ExperimentalResultCode, 0, &v) {
		result, _ = v.Uint32()
	}
	return vendor, result
}

func resultText(m *diameter.Message) string {
	vendor, result := resultOf(m)
	if result == 0 {
		return "no result"
	}
	name := dict.ResultName(vendor, result)
	if text := fmt.Sprint(result); name != text {
		return text + " " + name
	}
	return name
}

// succeeded counts the next round of an authentication as success.
func succeeded(m *diameter.Message) bool {
	_, result := resultOf(m)
	return result/1000 == 1 || result/1000 == 2
}

// request builds the message, by a file or by the command line.
func (a *asking) request(args []string) ([]byte, error) {
	text, err := a.text(args)
	if err != nil {
		return nil, err
	}
	raw, err := dict.Parse(text)
	if err != nil {
		return nil, problem("the request: %v", err)
	}
	if len(raw) < diameter.HeaderLen || len(raw) > diameter.MaxLen {
		return nil, problem("the request has %d octets: 20 to %d make a message", len(raw), diameter.MaxLen)
	}
	h := diameter.ReadHeader(raw)
	a.app = h.Application
	var id [8]byte
	_, _ = rand.Read(id[:])
	if h.EndToEnd == 0 {
		diameter.SetEndToEnd(raw, binary.BigEndian.Uint32(id[:4]))
	}
	diameter.SetHopByHop(raw, binary.BigEndian.Uint32(id[4:]))
	return raw, nil
}

func (a *asking) text(args []string) (string, error) {
	if a.file != "" {
		b, err := io.ReadAll(io.LimitReader(a.in, 1<<20))
		if a.file != "-" {
			b, err = os.ReadFile(a.file)
		}
		if err != nil {
			return "", problem("reading the request: %v", err)
		}
		return string(b), nil
	}
	code, ok := file.Command(a.command)
	if !ok {
		return "", fmt.Errorf("--command %q is no request: write ULR, AAR, ... or a code", a.command)
	}
	c, _ := dict.FindCommand(code)
	app := c.App
	if a.application != "" {
		if app, ok = file.Application(a.application); !ok {
			return "", fmt.Errorf("--application %q is not known: write s6a, nasreq, ... or a number", a.application)
		}
	}
	user := cmp.Or(a.imsi, a.user)
	if a.destRealm == "" {
		_, a.destRealm, _ = strings.Cut(a.user, "@")
	}
	if a.destRealm == "" {
		return "", fmt.Errorf("--destination-realm is missing")
	}
	var t strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&t, "%s: %s\n", name, value)
		}
	}
	fmt.Fprintf(&t, "%s app=%d\n", dict.CommandName(code, true), app)
	line("Session-Id", cmp.Or(a.session, newSession(a.identity)))
	switch {
	case app >= 1<<24:
		fmt.Fprintf(&t, "Vendor-Specific-Application-Id:\n  Vendor-Id: %d\n  Auth-Application-Id: %d\nAuth-Session-State: 1\n", diameter.Vendor3GPP, app)
	case code == diameter.Accounting:
		line("Acct-Application-Id", fmt.Sprint(app))
	default:
		line("Auth-Application-Id", fmt.Sprint(app))
	}
	line("Origin-Host", a.identity)
	line("Origin-Realm", a.realm)
	line("Destination-Host", a.destHost)
	line("Destination-Realm", a.destRealm)
	line("User-Name", user)
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return "", fmt.Errorf("%q is not NAME=VALUE", arg)
		}
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		fmt.Fprintf(&t, "%s: %s\n", name, octets(name, value))
	}
	return t.String(), nil
}

// octets lets text of an AVP of octets be written as it is: a shell takes quotes away.
func octets(name, value string) string {
	bare, _, _ := strings.Cut(name, "[")
	at, ok := dict.AVPNamed(bare)
	if !ok || at.Type != dict.OctetString || strings.HasPrefix(value, "0x") || strings.HasPrefix(value, `"`) {
		return value
	}
	return strconv.Quote(value)
}

// newSession is a Session-Id that nobody has had (RFC 6733 section 8.8).
func newSession(identity string) string {
	var b [4]byte
	_, _ = rand.Read(b[:])
	return fmt.Sprintf("%s;%d;%d", identity, time.Now().Unix(), binary.BigEndian.Uint32(b[:]))
}

// tlsConfig verifies the peer by its name.
func (a *asking) tlsConfig() (*tls.Config, error) {
	t := clientTLS(a.to)
	t.ServerName = cmp.Or(a.nameThat, t.ServerName)
	if a.ca != "" {
		pem, err := os.ReadFile(a.ca)
		if err != nil {
			return nil, problem("reading the authorities: %v", err)
		}
		if t.RootCAs = x509.NewCertPool(); !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, problem("%s holds no certificate", a.ca)
		}
	}
	if a.certificate != "" {
		pair, err := tls.LoadX509KeyPair(a.certificate, a.key)
		if err != nil {
			return nil, problem("reading the certificate: %v", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
