package play_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

func TestLayehNASAtHome(t *testing.T) {
	h := startHome(t, play.Script{SessionTimeout: 3600}, nil)
	s := play.LayehSession{
		Auth: h.Auth(), Acct: h.Acct(), Secret: secret, User: "device@home.example",
		Password: password, Session: "0001", Timeout: 5 * time.Second,
	}
	answer, err := s.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, radius.CodeAccessAccept, answer.Code)
	assert.EqualValues(t, 3600, rfc2865.SessionTimeout_Get(answer))
	seen := h.Snapshot()
	assert.Equal(t, play.PerKind{1, 1, 0, 1}, seen.Unique)

	s.Password = "another"
	answer, err = s.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, radius.CodeAccessReject, answer.Code)
	assert.Equal(t, "wrong password", rfc2865.ReplyMessage_GetString(answer))
}

func TestNASAtLayehHome(t *testing.T) {
	h, err := play.StartLayehHome(secret, password)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	n, err := play.NewNAS(play.NASConfig{
		Auth: h.Address(), Acct: h.Address(), Secret: secret, Password: password,
		Total: 100, Window: 8, Sockets: 1, Accounting: play.AccountingAfter,
		ProxyState: true, WrongPassword: 0.2, Devices: 100,
	})
	require.NoError(t, err)
	require.NoError(t, n.Run(t.Context()))
	got := n.Snapshot()
	assert.True(t, got.AddsUp())
	assert.EqualValues(t, 100, got.Accepts+got.Rejects)
	assert.NotZero(t, got.Rejects)
	assert.Equal(t, got.Accepts, got.Answered[play.KindStop])
	assert.Zero(t, got.Flaws.All(), "%v", got.Flaws)
}
