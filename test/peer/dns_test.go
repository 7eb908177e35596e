package peer_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

// TestControlDNS holds that the resolver believes the signed zone and not the
// one whose signatures do not fit.
func TestControlDNS(t *testing.T) {
	d := peer.StartDNS(t, map[string]string{
		"good.example": `@ NAPTR 100 10 "s" "x-eduroam:radius.tls" "" _radsec._tcp
_radsec._tcp SRV 10 0 2083 radsec
radsec A 127.0.0.1`,
		"bogus.example": `radsec A 127.0.0.1`,
	}, "bogus.example")
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, d.Resolver.String())
	}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, srv, err := r.LookupSRV(ctx, "radsec", "tcp", "good.example")
	require.NoError(t, err)
	require.Len(t, srv, 1)
	assert.EqualValues(t, 2083, srv[0].Port)
	a, err := r.LookupHost(ctx, srv[0].Target)
	require.NoError(t, err)
	assert.Equal(t, []string{"127.0.0.1"}, a)
	_, err = r.LookupHost(ctx, "radsec.bogus.example.")
	assert.Error(t, err, "its signature does not fit")
}
