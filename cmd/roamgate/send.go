package main

import (
	"crypto/md5" //nolint:gosec // CHAP is MD5 (RFC 1994)
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/radius/dict"
)

// sending is one request to try a RADIUS server with.
type sending struct {
	to, secretFile, secretEnv     string
	user, passwordFile, passwordE string
	chap                          bool
	tries                         int
	timeout                       time.Duration

	out    io.Writer
	secret *radius.Secret
	crypt  *radius.Crypt
}

func sendCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "send",
		Short: "Send one request and print the answer",
		Long: `Send one request to a RADIUS server or a Diameter peer, this hub or another,
verify its answer and print it. The secret and the password come from a file or
the environment, never from the command line. CoA and Disconnect requests are
those of a home: send them from one of its addresses. Exit code 0: the answer
was no reject and no NAK.`,
	}
	kind := func(use, short, example string, code radius.Code) *cobra.Command {
		s := sending{crypt: radius.NewCrypt()}
		k := &cobra.Command{
			Use: use + " [NAME=VALUE ...]", Short: short, Example: example,
			RunE: func(cmd *cobra.Command, args []string) error {
				s.out = cmd.OutOrStdout()
				if s.to == "" {
					return misuse(cmd, "--to host:port is missing")
				}
				return s.run(code, args)
			},
		}
		f := k.Flags()
		f.StringVar(&s.to, "to", "", "server `address`, host:port")
		f.StringVar(&s.secretFile, "secret-file", "", "`file` that holds the shared secret")
		f.StringVar(&s.secretEnv, "secret-env", "", "environment `variable` that holds the shared secret")
		f.IntVar(&s.tries, "tries", 3, "how often to send")
		f.DurationVar(&s.timeout, "timeout", 3*time.Second, "how long to wait each time")
		if code == radius.AccessRequest {
			f.StringVar(&s.user, "user", "", "User-Name")
			f.StringVar(&s.passwordFile, "password-file", "", "`file` that holds the password")
			f.StringVar(&s.passwordE, "password-env", "", "environment `variable` that holds the password")
			f.BoolVar(&s.chap, "chap", false, "CHAP instead of PAP")
		}
		return k
	}
	return group(c,
		kind("auth", "Send an Access-Request", "  roamgate send auth --to 127.0.0.1:1812 --secret-file s --user bob@acme.example --password-env PW", radius.AccessRequest),
		kind("acct", "Send an Accounting-Request", "  roamgate send acct --to 127.0.0.1:1813 --secret-file s User-Name=bob@acme.example Acct-Status-Type=Stop Acct-Session-Id=1", radius.AccountingRequest),
		kind("coa", "Send a CoA-Request", "  roamgate send coa --to 127.0.0.1:3799 --secret-file s User-Name=bob@acme.example Operator-Name=1airport.example Session-Timeout=600", radius.CoARequest),
		kind("disconnect", "Send a Disconnect-Request", "  roamgate send disconnect --to 127.0.0.1:3799 --secret-file s User-Name=bob@acme.example Acct-Session-Id=1", radius.DisconnectRequest),
		kind("status", "Send a Status-Server", "  roamgate send status --to 127.0.0.1:1812 --secret-file s", radius.StatusServer),
		sendDiameterCommand())
}

// fromFileOrEnv reads a secret from one of two places.
func fromFileOrEnv(what, file, env string) ([]byte, error) {
	switch {
	case file != "" && env != "":
		return nil, fmt.Errorf("--%s-file and --%s-env exclude each other", what, what)
	case file != "":
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, problem("reading the %s: %v", what, err)
		}
		return []byte(strings.TrimRight(string(b), "\r\n")), nil
	case env != "":
		v, ok := os.LookupEnv(env)
		if !ok {
			return nil, fmt.Errorf("the environment has no %s", env)
		}
		return []byte(v), nil
	}
	return nil, nil
}

func (s *sending) run(code radius.Code, args []string) error {
	secret, err := fromFileOrEnv("secret", s.secretFile, s.secretEnv)
	if err != nil {
		return err
	}
	if len(secret) == 0 {
		return errors.New("a shared secret is needed: --secret-file or --secret-env")
	}
	s.secret = radius.NewSecret(secret)
	req, err := s.build(code, args)
	if err != nil {
		return err
	}
	reply, took, err := s.exchange(req)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s in %s\n", reply.Code(), took.Round(10*time.Microsecond))
	for a, off, ok := reply.Next(radius.HeaderLen); ok; a, off, ok = reply.Next(off) {
		fmt.Fprintln(s.out, "  "+dict.Format(a.Raw))
	}
	switch reply.Code() {
	case radius.AccessReject, radius.CoANAK, radius.DisconnectNAK:
		return &exitError{code: exitProblem}
	}
	return nil
}

// build writes the request. Message-Authenticator is always there.
func (s *sending) build(code radius.Code, args []string) ([]byte, error) {
	var w radius.Writer
	var auth [16]byte
	var id [1]byte
	_, _ = rand.Read(auth[:])
	_, _ = rand.Read(id[:])
	w.Start(make([]byte, radius.MaxLen), code, id[0], true)
	w.SetAuthenticator(&auth)
	if s.user != "" {
		w.Add(radius.UserName, []byte(s.user))
	}
	if err := s.addPassword(&w, &auth); err != nil {
		return nil, err
	}
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not NAME=VALUE", a)
		}
		tlv, err := dict.Encode(strings.TrimSpace(name), strings.TrimSpace(value))
		if err != nil {
			return nil, err
		}
		if !w.Raw(tlv) {
			return nil, fmt.Errorf("%s does not fit into a packet", name)
		}
	}
	switch code {
	case radius.AccountingRequest, radius.CoARequest, radius.DisconnectRequest:
		return w.SignAccounting(s.crypt, s.secret), nil
	}
	return w.SignRequest(s.crypt, s.secret), nil
}

func (s *sending) addPassword(w *radius.Writer, auth *[16]byte) error {
	pw, err := fromFileOrEnv("password", s.passwordFile, s.passwordE)
	if err != nil || pw == nil {
		return err
	}
	if s.chap {
		h := md5.New() //nolint:gosec // RFC 2865 section 5.3
		h.Write([]byte{1})
		h.Write(pw)
		h.Write(auth[:])
		w.Add(radius.CHAPPassword, append([]byte{1}, h.Sum(nil)...))
		return nil
	}
	var hidden [128]byte
	n, ok := s.crypt.HideUserPassword(hidden[:], pw, auth, s.secret)
	if !ok {
		return errors.New("the password is longer than 128 octets")
	}
	w.Add(radius.UserPassword, hidden[:n])
	return nil
}

// exchange sends req until an authentic answer comes.
func (s *sending) exchange(req []byte) (*radius.Packet, time.Duration, error) {
	conn, err := net.Dial("udp", s.to)
	if err != nil {
		return nil, 0, problem("sending to %s: %v", s.to, err)
	}
	defer conn.Close()
	reqAuth := [16]byte(req[4:20])
	buf := make([]byte, radius.MaxLen+1)
	refused := ""
	for range s.tries {
		began := time.Now()
		if _, err := conn.Write(req); err != nil {
			return nil, 0, problem("sending to %s: %v", s.to, err)
		}
		_ = conn.SetReadDeadline(began.Add(s.timeout))
		for {
			n, err := conn.Read(buf)
			if err != nil {
				break
			}
			p := new(radius.Packet)
			if why := p.Parse(buf[:n]); why != radius.OK {
				refused = why.String()
				continue
			}
			if p.Identifier() != req[1] || !s.crypt.CheckResponse(p, &reqAuth, s.secret) {
				refused = "its authenticator is wrong: do both sides have the same secret?"
				continue
			}
			if p.Has(radius.MessageAuthenticator) && !s.crypt.CheckResponseMessageAuthenticator(p, &reqAuth, s.secret) {
				refused = "its Message-Authenticator is wrong"
				continue
			}
			return p, time.Since(began), nil
		}
	}
	if refused != "" {
		return nil, 0, problem("%s answered, but %s", s.to, refused)
	}
	return nil, 0, &exitError{exitUnreachable, s.to + " does not answer: is the address right, and does it know this host as a client?"}
}
