package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

const (
	otherSecret = "a secret of another home, long enough"
	hubSecret   = "a secret between the two hubs, long"
	// lobby is how the NAS calls itself; no hub and no home has this address.
	lobby, lobbyAddress = "ap-17.lobby", "10.9.8.7"
)

// wayBack is home -> hub -> hub -> NAS, all of them real programs: the visited
// network's hub is the edge and hides its NAS.
type wayBack struct {
	home, nas *peer.FreeRADIUS
	near, far *peer.Hub // the home's, the visited network's
}

func startWayBack(t *testing.T, originates bool) *wayBack {
	t.Helper()
	w := &wayBack{nas: peer.StartNAS(t, "nas", clientSecret)}
	// The home has to know the hub and the hub the home: the hub's files name
	// the home once it is there.
	w.near = peer.StartHub(t, peer.HubConfig{Secret: hubSecret, Name: "near", DynAuth: true, Homes: []peer.HubHome{{Name: "home", Server: peer.Server{Auth: peer.Port(t), Acct: peer.Port(t), Secret: homeSecret}}}})
	config := peer.HomeConfig{Name: "home", Secret: homeSecret, Users: subscribers(1), MessageAuthenticator: true}
	if originates {
		config.DynAuth = w.near.DynAuth
	}
	w.home = peer.StartHome(t, config)
	w.far = peer.StartHub(t, peer.HubConfig{Secret: clientSecret, Name: "far", DynAuth: true, Homes: []peer.HubHome{{Name: "near", Server: w.near.Server, RequireMessageAuthenticator: true}}})

	must := "true"
	if originates {
		must = "false" // FreeRADIUS 3.2.1 originates without Message-Authenticator
	}
	w.route(t, w.near, fmt.Sprintf(`clients:
  - {name: far, address: 127.0.0.1, secret_file: ../client.secret, dynauth: %q, operators: ["1*.fed.example"]}
homes:
  - {name: home, auth: %q, acct: %q, secret_file: ../home.secret, dynauth: [127.0.0.1], require_message_authenticator: %s}
  - {name: other, auth: %q, acct: %q, secret_file: ../other.secret, dynauth: [127.0.0.2]}
pools:
  - {name: home, homes: [home]}
  - {name: other, homes: [other]}
realms:
  - {realm: home.example, auth: home, accounting: home}
  - {realm: other.example, auth: other, accounting: other}
`, w.far.DynAuth, w.home.Auth, w.home.Acct, must, peer.Port(t), peer.Port(t)))
	w.route(t, w.far, fmt.Sprintf(`clients:
  - {name: ap, address: 127.0.0.1, secret_file: ../client.secret, operator: 1airport.fed.example, operator_name: stamp, hide_nas: true, dynauth: %q}
homes:
  - {name: near, auth: %q, acct: %q, secret_file: ../near.secret, dynauth: [127.0.0.1], require_message_authenticator: %s}
pools:
  - {name: near, homes: [near]}
realms:
  - {realm: default, auth: near, accounting: near}
`, w.nas.CoA, w.near.Auth, w.near.Acct, must))
	return w
}

// route gives a hub its routing file and waits until it is in use.
func (w *wayBack) route(t *testing.T, h *peer.Hub, text string) {
	t.Helper()
	h.Secrets(map[string]string{"other": otherSecret})
	before := h.Metric("roamgate_config_generation")
	h.Route(text)
	peer.Eventually(t, takesEffect, "the routes are in use", func() bool { return h.Metric("roamgate_config_generation") > before })
}

// logIn brings a session about, and says what the home was told of it.
func (w *wayBack) logIn(t *testing.T, session string) peer.Access {
	t.Helper()
	user := subscribers(1)[0]
	reply := peer.Radclient{Server: w.far.Auth, Secret: clientSecret, Command: "auth", Attributes: []string{
		`User-Name = "` + user.Name + `"`, `User-Password = "` + user.Password + `"`, "Message-Authenticator = 0x00",
		"NAS-IP-Address = " + lobbyAddress, `NAS-Identifier = "` + lobby + `"`, `Acct-Session-Id = "` + session + `"`,
	}}.Run(t)
	require.Equal(t, "Access-Accept", reply.Code, reply.Output)
	all := w.home.Accesses()
	require.NotEmpty(t, all)
	return all[len(all)-1]
}

// order sends a request as a home does, and waits that long for its answer.
func (w *wayBack) order(t *testing.T, patience time.Duration, command, from, secret string, attributes ...string) *peer.Reply {
	t.Helper()
	return peer.Radclient{Server: w.near.DynAuth, Secret: secret, Command: command, Timeout: patience, Retries: 1, Attributes: append([]string{
		"Packet-Src-IP-Address = " + from, "Message-Authenticator = 0x00",
	}, attributes...)}.Run(t)
}

// TestDynAuthThroughTwoHubs: CoA and Disconnect of a home reach the right NAS
// through two hubs, under the names that the NAS knows itself by, though the
// home has never heard them; and nobody else's do (C98, C99, C100, C101).
func TestDynAuthThroughTwoHubs(t *testing.T) {
	t.Parallel()
	w := startWayBack(t, false)
	user := subscribers(1)[0].Name
	told := w.logIn(t, "s-1")
	assert.Empty(t, told.Address)
	assert.Equal(t, "airport.fed.example", told.NAS)
	assert.Equal(t, "1airport.fed.example", told.Operator)
	require.NotEmpty(t, told.Token)

	named := []string{`User-Name = "` + user + `"`, `Acct-Session-Id = "s-1"`, `Operator-Name = "` + told.Operator + `"`,
		`NAS-Identifier = "` + told.NAS + `"`, "Operator-NAS-Identifier = " + told.Token}
	for command, name := range map[string]string{"coa": "CoA", "disconnect": "Disconnect"} {
		n := len(w.nas.Orders())
		reply := w.order(t, time.Minute, command, "127.0.0.1", homeSecret, named...)
		require.Equal(t, name+"-ACK", reply.Code, reply.Output)
		got := w.nas.Orders()
		require.Len(t, got, n+1)
		assert.Equal(t, peer.Order{Kind: name + "-Request", User: user, Session: "s-1", Address: lobbyAddress, NAS: lobby}, got[n])
	}
	// By the live session alone, without Operator-Name.
	reply := w.order(t, time.Minute, "disconnect", "127.0.0.1", homeSecret, `User-Name = "`+user+`"`, `Acct-Session-Id = "s-1"`)
	require.Equal(t, "Disconnect-ACK", reply.Code, reply.Output)

	// What the NAS itself says is what the home hears.
	reply = w.order(t, time.Minute, "disconnect", "127.0.0.1", homeSecret, `User-Name = "`+user+`"`)
	require.Equal(t, "Disconnect-NAK", reply.Code, reply.Output)

	n := len(w.nas.Orders())
	for _, tt := range []struct {
		name, from, secret string
		attributes         []string
		code, cause        string
	}{
		{"a home that the realm is not routed to", "127.0.0.2", otherSecret, named, "Disconnect-NAK", "502"},
		{"an operator that nobody knows", "127.0.0.1", homeSecret, []string{`User-Name = "` + user + `"`, `Operator-Name = "1nowhere.example"`}, "Disconnect-NAK", "502"},
		{"an operator that the second hub does not know", "127.0.0.1", homeSecret, []string{`User-Name = "` + user + `"`, `Operator-Name = "1harbour.fed.example"`}, "Disconnect-NAK", "502"},
		{"the session of another user", "127.0.0.1", homeSecret, []string{`User-Name = "eve@home.example"`, `Acct-Session-Id = "s-1"`}, "Disconnect-NAK", "503"},
		{"a forged token", "127.0.0.1", homeSecret, append(append([]string{}, named[:4]...), "Operator-NAS-Identifier = 0x01"+strings.Repeat("5a", 32)), "Disconnect-NAK", "403"},
		{"too old", "127.0.0.1", homeSecret, append([]string{`Event-Timestamp = "Jan  1 2020 00:00:00 UTC"`}, named...), "", ""},
		{"a stranger", "127.0.0.3", homeSecret, named, "", ""},
		{"a wrong secret", "127.0.0.1", otherSecret, named, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			patience := time.Minute
			if tt.code == "" {
				patience = 2 * time.Second
			}
			reply := w.order(t, patience, "disconnect", tt.from, tt.secret, tt.attributes...)
			assert.Equal(t, tt.code, reply.Code, reply.Output)
			if tt.code != "" {
				assert.Equal(t, []string{tt.cause}, causes(reply), reply.Output)
			}
		})
	}
	assert.Len(t, w.nas.Orders(), n, "nothing of that has reached the NAS")
	assert.Positive(t, w.near.Metric("roamgate_dynauth_refused_total", `reason="reverse_path"`))
	assert.Positive(t, w.far.Metric("roamgate_dynauth_refused_total", `reason="unknown_nas"`))
}

// causes are the numbers of the Error-Causes of an answer.
func causes(r *peer.Reply) (all []string) {
	for _, v := range r.Attributes["Error-Cause"] {
		for name, number := range map[string]string{"Proxy-Request-Not-Routable": "502", "Session-Context-Not-Found": "503", "NAS-Identification-Mismatch": "403"} {
			if v == name {
				v = number
			}
		}
		all = append(all, v)
	}
	return all
}

// TestDynAuthOriginatedByFreeRADIUS: a home that acts by itself.
func TestDynAuthOriginatedByFreeRADIUS(t *testing.T) {
	t.Parallel()
	w := startWayBack(t, true)
	user := subscribers(1)[0].Name
	w.logIn(t, "s-1")
	report := func(class ...string) {
		reply := peer.Radclient{Server: w.far.Acct, Secret: clientSecret, Command: "acct", Attributes: append([]string{
			`User-Name = "` + user + `"`, `Acct-Session-Id = "s-1"`, "Acct-Status-Type = Interim-Update", "Acct-Session-Time = 60",
			"NAS-IP-Address = " + lobbyAddress, `NAS-Identifier = "` + lobby + `"`,
		}, class...)}.Run(t)
		require.Equal(t, "Accounting-Response", reply.Code, reply.Output)
	}
	report()
	peer.Eventually(t, takesEffect, "the home has its answer", func() bool { return len(w.home.Answers()) > 0 })
	report("Class = 0x636f61", "Acct-Input-Octets = 1")
	peer.Eventually(t, takesEffect, "the home has its second answer", func() bool { return len(w.home.Answers()) > 1 })
	assert.Equal(t, []string{"Disconnect-ACK ", "CoA-ACK "}, w.home.Answers())
	orders := w.nas.Orders()
	require.Len(t, orders, 2)
	assert.Equal(t, peer.Order{Kind: "Disconnect-Request", User: user, Session: "s-1", Address: lobbyAddress, NAS: lobby}, orders[0])
	assert.Equal(t, peer.Order{Kind: "CoA-Request", User: user, Session: "s-1", Address: lobbyAddress, NAS: lobby}, orders[1])
}
