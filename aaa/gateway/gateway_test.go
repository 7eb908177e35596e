package gateway_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// A NAS of RADIUS is let in by a home of Diameter.
func TestC123AccessOfRADIUS(t *testing.T) {
	r := newRig(t, nil)
	r.connected("home-dia")
	r.home.says(2001, func(m *diameter.Message, w *diameter.Writer) {
		w.Uint32(diameter.SessionTimeout, 0, must, 3600)
		w.String(diameter.Class, 0, must, "home")
	})
	got := r.access(attr(radius.UserName, "bob@home.example"), attr(radius.UserPassword, hide(t, r, "secret")), attr(radius.NASIdentifier, "ap1"))
	m := r.home.next()
	assert.EqualValues(t, diameter.AA, m.Command)
	assert.EqualValues(t, diameter.AppNASREQ, m.Application)
	assert.Equal(t, "bob@home.example", string(value(m, diameter.UserName)))
	assert.Equal(t, "hub.example", string(m.Value(diameter.KnownOriginHost)))
	assert.Equal(t, "home.example", string(m.Value(diameter.KnownDestinationRealm)))
	assert.Equal(t, "ap1", string(value(m, uint32(radius.NASIdentifier))))
	assert.Equal(t, radius.AccessAccept, got.Code())
	timeout, _ := got.Uint32(radius.SessionTimeout)
	assert.EqualValues(t, 3600, timeout)
	assert.Equal(t, 2, got.Count(radius.Class), "the home's and ours")
	require.True(t, got.Has(radius.MessageAuthenticator))
}
