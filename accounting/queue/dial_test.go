package queue

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDialer(t *testing.T) {
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	addr := strings.TrimPrefix(srv.URL, "https://")
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	r := new(Redis)
	secure := r.dialer(&tls.Config{RootCAs: roots})

	c, err := secure(context.Background(), "tcp", addr)
	require.NoError(t, err)
	_, err = c.Write([]byte("PING"))
	require.ErrorIs(t, err, errConnection, "nobody has asked where the stream stands")
	_, err = c.Read(nil)
	require.ErrorIs(t, err, errConnection)
	require.NoError(t, c.Close())

	r.asking.Store(true)
	c, err = secure(context.Background(), "tcp", addr)
	require.NoError(t, err)
	assert.True(t, c.(*tls.Conn).ConnectionState().HandshakeComplete)
	require.NoError(t, c.Close())
	_, err = r.dialer(&tls.Config{RootCAs: x509.NewCertPool()})(context.Background(), "tcp", addr)
	require.Error(t, err, "a certificate nobody vouches for")
	c, err = r.dialer(nil)(context.Background(), "tcp", addr)
	require.NoError(t, err)
	require.NoError(t, c.Close())
}
