package peer

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Subscriber is the device that every conversation is about.
var Subscriber = User{
	Name:     "bob@home.example",
	Password: "correct horse",
	Reply:    []string{"Session-Timeout := 600", "Class := 0x636c617373"},
}

// Path is a way to a home: a front that a NAS speaks to and the home behind
// it, which may be the same server.
type Path struct {
	Front        Server
	Home         *FreeRADIUS
	Certificates *Certificates
}

// Conversation is one thing that a device and its home do with each other.
// The control group runs it without roamgate, the interoperability tests run
// the same through it.
type Conversation struct {
	Name string
	Run  func(t *testing.T, p Path)
}

// Conversations are all of them.
func Conversations() []Conversation {
	all := []Conversation{
		{"PAP", func(t *testing.T, p Path) {
			p.password(t, fmt.Sprintf("User-Password = %q", Subscriber.Password), true)
		}},
		{"PAP wrong password", func(t *testing.T, p Path) { p.password(t, `User-Password = "wrong"`, false) }},
		{"CHAP", func(t *testing.T, p Path) {
			p.password(t, fmt.Sprintf("CHAP-Password = %q", Subscriber.Password), true)
		}},
		{"CHAP wrong password", func(t *testing.T, p Path) { p.password(t, `CHAP-Password = "wrong"`, false) }},
		{"accounting", func(t *testing.T, p Path) { p.accounting(t) }},
		{"EAP wrong password", func(t *testing.T, p Path) {
			got := p.EAP(PEAPMSCHAPv2, "wrong").Run(t)
			assert.False(t, got.Success)
			assert.Contains(t, got.Output, "CTRL-EVENT-EAP-FAILURE", "the home refused, nothing timed out")
		}},
	}
	for _, m := range Methods {
		all = append(all, Conversation{m.String(), func(t *testing.T, p Path) { p.eap(t, m) }})
	}
	return all
}

// EAP is a device that authenticates at the front of p.
func (p Path) EAP(m Method, password string) EAPOL {
	return EAPOL{Server: p.Front.Auth, Secret: p.Front.Secret, Method: m,
		Identity: Subscriber.Name, Password: password, Certificates: p.Certificates}
}

// eap proves that the device, the NAS and the home hold the same keys,
// however often they were encrypted anew on the way (RFC 2548 section 2.4).
func (p Path) eap(t *testing.T, m Method) {
	before := len(p.Home.Accepts())
	got := p.EAP(m, Subscriber.Password).Run(t)
	require.True(t, got.Success, got.Output)
	assert.True(t, got.KeysOK, "the keys of the Access-Accept are those the device derived")
	accepts := p.Home.Accepts()[before:]
	require.Len(t, accepts, 1)
	assert.Len(t, got.SendKey, 64)
	assert.Equal(t, accepts[0].SendKey, got.SendKey, "MS-MPPE-Send-Key of the home and at the NAS")
	assert.Equal(t, accepts[0].RecvKey, got.RecvKey, "MS-MPPE-Recv-Key of the home and at the NAS")
}

func (p Path) password(t *testing.T, credential string, accept bool) {
	r := Radclient{Server: p.Front.Auth, Secret: p.Front.Secret, Command: "auth", Attributes: []string{
		fmt.Sprintf("User-Name = %q", Subscriber.Name), credential, `NAS-Identifier = "nas.test"`, "Message-Authenticator = 0x00",
	}}.Run(t)
	if !accept {
		assert.Equal(t, "Access-Reject", r.Code, r.Output)
		return
	}
	require.Equal(t, "Access-Accept", r.Code, r.Output)
	assert.Equal(t, []string{"600"}, r.Attributes["Session-Timeout"])
	assert.Equal(t, []string{"0x636c617373"}, r.Attributes["Class"])
}

func (p Path) accounting(t *testing.T) {
	session := fmt.Sprintf("session-%d", len(p.Home.Records()))
	for _, status := range []string{"Start", "Interim-Update", "Stop"} {
		r := Radclient{Server: p.Front.Acct, Secret: p.Front.Secret, Command: "acct", Attributes: []string{
			fmt.Sprintf("User-Name = %q", Subscriber.Name), "Acct-Status-Type = " + status,
			fmt.Sprintf("Acct-Session-Id = %q", session), `NAS-Identifier = "nas.test"`,
			"Acct-Session-Time = 60", "Acct-Input-Octets = 1000", "Acct-Output-Octets = 2000",
		}}.Run(t)
		require.Equal(t, "Accounting-Response", r.Code, r.Output)
	}
	var got []Record
	for _, r := range p.Home.Records() {
		if r.Session == session {
			got = append(got, r)
		}
	}
	assert.Equal(t, []Record{
		{session, "Start", Subscriber.Name},
		{session, "Interim-Update", Subscriber.Name},
		{session, "Stop", Subscriber.Name},
	}, got)
}
