package interop

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

const (
	chapPassword         = 3
	proxyState           = 33
	chapChallenge        = 60
	messageAuthenticator = 80
)

// TestRequestAsSent looks at the octets that leave toward a home:
// Message-Authenticator first (C46), the client's own attributes in their
// order, one own Proxy-State after the client's (C1), CHAP-Challenge where the
// request's authenticator was the challenge (C6). What comes back holds the
// client's Proxy-States, in order, and no other (C3).
func TestRequestAsSent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		request []string
		want    []byte // types of the attributes sent on
		states  []string
	}{
		{name: "PAP", request: []string{`User-Password = "x"`, `NAS-Identifier = "nas.test"`},
			want: []byte{messageAuthenticator, 1, 2, 32, proxyState}},
		{name: "CHAP", request: []string{`CHAP-Password = "x"`},
			want: []byte{messageAuthenticator, 1, chapPassword, chapChallenge, proxyState}},
		{name: "proxied before", request: []string{`User-Password = "x"`, "Proxy-State = 0x6231", "Proxy-State = 0x6130"},
			want:   []byte{messageAuthenticator, 1, 2, proxyState, proxyState, proxyState},
			states: []string{"0x6231", "0x6130"}},
	}
	home := peer.ListenHome(t, homeSecret)
	hub := peer.StartHub(t, peer.HubConfig{Secret: clientSecret, Homes: []peer.HubHome{{
		Name: "a", Server: peer.Server{Auth: home.Addr, Acct: peer.Port(t), Secret: homeSecret}, RequireMessageAuthenticator: true,
	}}})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := len(home.Received())
			r := peer.Radclient{Server: hub.Auth, Secret: clientSecret, Command: "auth", Attributes: append([]string{
				`User-Name = "` + peer.Subscriber.Name + `"`}, append(tt.request, "Message-Authenticator = 0x00")...)}.Run(t)
			require.Equal(t, "Access-Accept", r.Code, r.Output)
			seen := home.Received()[before:]
			require.Len(t, seen, 1)
			types := seen[0].Types()
			assert.Equal(t, byte(messageAuthenticator), types[0])
			if tt.name == "CHAP" { // where it is added among the others is free
				assert.ElementsMatch(t, tt.want, types)
				assert.Equal(t, byte(proxyState), types[len(types)-1])
			} else {
				assert.Equal(t, tt.want, types)
			}
			assert.Equal(t, tt.states, r.Attributes["Proxy-State"])
		})
	}
}

// TestRetransmissionAsSent: what is sent again is the same to the octet (C10),
// and the home sees one request, however often the NAS repeats (C32).
func TestRetransmissionAsSent(t *testing.T) {
	t.Parallel()
	home := peer.ListenHome(t, homeSecret)
	hub := peer.StartHub(t, peer.HubConfig{Secret: clientSecret, Timers: "{irt: 1s}", Homes: []peer.HubHome{{
		Name: "a", Server: peer.Server{Auth: home.Addr, Acct: peer.Port(t), Secret: homeSecret}, RequireMessageAuthenticator: true,
	}}})
	home.Mute(1)
	nas := peer.NAS{Server: hub.Auth, Secret: clientSecret, Timeout: 200 * time.Millisecond, Tries: 50}
	_, tries, err := nas.Authenticate(peer.Subscriber.Name, "x")
	require.NoError(t, err)
	seen := home.Received()
	assert.Greater(t, tries, 2, "the NAS repeated while the home was silent")
	require.Len(t, seen, 2, "the hub repeated once by its own timer")
	assert.Equal(t, seen[0].From, seen[1].From)
	assert.True(t, slices.Equal(seen[0].Octets, seen[1].Octets), "the repetition is the same to the octet")
}
