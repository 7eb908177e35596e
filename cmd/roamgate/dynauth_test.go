package main

import (
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"

	"github.com/roamgate/roamgate/test/peer"
)

// accessPoint answers CoA and Disconnect requests with an ACK.
func accessPoint(t *testing.T) (address string) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	t.Cleanup(func() { _ = c.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			p, err := layeh.Parse(buf[:n], []byte(clientSecret))
			if err != nil || !layeh.IsAuthenticRequest(buf[:n], []byte(clientSecret)) {
				continue
			}
			if b, err := p.Response(p.Code + 1).Encode(); err == nil {
				_, _ = c.WriteTo(b, from)
			}
		}
	}()
	return c.LocalAddr().String()
}

// TestSendDynAuth: an operator tries CoA and Disconnect by hand, and hears why
// one cannot be sent on.
func TestSendDynAuth(t *testing.T) {
	port := peer.Port(t)
	h := prepare(t, "dynauth: {memory: 1MiB}\n")
	main, err := os.ReadFile(h.path("roamgate.yaml"))
	require.NoError(t, err)
	peers := strings.Replace(h.routing("acme.example"), "country: DE", "country: DE, operator: 1airport.example, dynauth: \""+accessPoint(t)+"\"", 1)
	peers = strings.Replace(peers, "secret_file: ../home.secret", "secret_file: ../home.secret, dynauth: [127.0.0.0/8]", 1)
	write(t, h.dir, map[string]string{
		"roamgate.yaml":     strings.Replace(string(main), "listen: {", "listen: {dynauth: [\""+port.String()+"\"], ", 1),
		"realms/peers.yaml": peers,
	})
	h.serve()
	assert.Contains(t, h.page(200, "/status"), "dynauth "+port.String())
	send := func(kind string, args ...string) result {
		return command(append([]string{"send", kind, "--to", port.String(), "--secret-file", h.path("home.secret"), "--timeout", "5s"}, args...)...)
	}
	for kind, name := range map[string]string{"coa": "CoA", "disconnect": "Disconnect"} {
		r := send(kind, "User-Name=bob@acme.example", "Operator-Name=1airport.example")
		assert.Zero(t, r.code, r.errs)
		assert.Contains(t, r.out, name+"-ACK in ")
		r = send(kind, "User-Name=bob@acme.example", "Operator-Name=1elsewhere.example")
		assert.Equal(t, exitProblem, r.code)
		assert.Contains(t, r.out, name+"-NAK in ")
		assert.Contains(t, r.out, "Error-Cause = ")
	}
	r := send("disconnect", "User-Name=bob@other.example", "Operator-Name=1airport.example")
	assert.Contains(t, r.out, "Disconnect-NAK in ", "the realm is not routed to this home")
	r = send("disconnect", "Acct-Session-Id=s1")
	assert.Equal(t, exitProblem, r.code, "not known yet")
	require.Zero(t, h.send("auth", "--user", "alice@acme.example", "--password-file", h.path("password"), "Acct-Session-Id=s1").code)
	r = send("disconnect", "Acct-Session-Id=s1")
	assert.Zero(t, r.code, r.out)
	assert.NotContains(t, h.Output(), "alice", "no identity in the log")
}

// TestCoAInsideIsOff: what peers count on and the hub does not do is said at once.
func TestCoAInsideIsOff(t *testing.T) {
	main := "listen: {tcp: [\"127.0.0.1:0\"]}\n"
	realms := strings.NewReplacer("country: DE", "transport: tcp, dynauth: connection",
		"198.51.100.10, secret", "198.51.100.10, transport: tcp, dynauth: [connection], secret").Replace(goodRealms)
	said := []string{
		"is to get CoA by its connection, and the hub carries none there",
		"is to send CoA by a connection, and the hub carries none there",
	}
	_, path := configuration(t, map[string]string{"roamgate.yaml": main, "realms/hub.yaml": realms})
	r := command("check", path)
	assert.Zero(t, r.code, r.out+r.errs)
	for _, want := range said {
		assert.Contains(t, r.out, want)
	}
	main = "listen: {tcp: [\"127.0.0.1:0\"]}\ndynauth: {connections: true}\n"
	_, path = configuration(t, map[string]string{"roamgate.yaml": main, "realms/hub.yaml": realms})
	r = command("check", path)
	assert.Zero(t, r.code, r.out+r.errs)
	for _, no := range said {
		assert.NotContains(t, r.out, no)
	}
}

// TestDynAuthMistakes: what is configured and can have no effect is said.
func TestDynAuthMistakes(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"memory alone", "dynauth: {memory: 1MiB}\n", "dynauth says more but nothing listens to CoA"},
		{"too much", "listen: {dynauth: [\"127.0.0.1:3799\"]}\ndynauth: {memory: 17GiB}\n", "dynauth.memory is out of range"},
		{"twice", "listen: {auth: [\"127.0.0.1:3799\"], dynauth: [\"127.0.0.1:3799\"]}\n", "127.0.0.1:3799 is listened on twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, path := configuration(t, map[string]string{"roamgate.yaml": tt.text})
			r := command("check", path)
			assert.Equal(t, exitProblem, r.code)
			assert.Contains(t, r.out+r.errs, tt.want)
		})
	}
}
