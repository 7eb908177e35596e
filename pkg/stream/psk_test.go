package stream

import (
	"context"
	"crypto/tls"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
)

// helloOf is a ClientHello with these suites and extensions, as a record.
func helloOf(suites []uint16, extensions map[uint16][]byte, last ...uint16) []byte {
	var b cryptobyte.Builder
	b.AddUint8(22)
	b.AddUint16(tls.VersionTLS12)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint8(1)
		b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
			b.AddUint16(tls.VersionTLS12)
			b.AddBytes(make([]byte, 32))
			b.AddUint8(0)
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
				for _, s := range suites {
					b.AddUint16(s)
				}
			})
			b.AddBytes([]byte{1, 0})
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
				add := func(id uint16) {
					b.AddUint16(id)
					b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(extensions[id]) })
				}
				for id := range extensions {
					if id != last[0] {
						add(id)
					}
				}
				add(last[0])
			})
		})
	})
	return b.BytesOrPanic()
}

// C64: nobody gets in by a pre-shared key. Over TLS 1.2 there is no suite in
// common; over 1.3 the key is passed over, and a certificate is asked for.
func TestC64NoPreSharedKey(t *testing.T) {
	const groups, algorithms, preShared, versions, modes, share = 10, 13, 41, 43, 45, 51
	point := append([]byte{0, 36, 0, 29, 0, 32, 9}, make([]byte, 31)...)
	identity := append([]byte{0, 10, 0, 4, 'p', 'e', 'e', 'r', 0, 0, 0, 0, 0, 33, 32}, make([]byte, 32)...)
	curves := []byte{0, 2, 0, 29}
	for name, c := range map[string]struct {
		suites     []uint16
		extensions map[uint16][]byte
		alert      bool
	}{
		"TLS 1.2, PSK":          {[]uint16{0x00a8}, map[uint16][]byte{groups: curves}, true},
		"TLS 1.2, DHE_PSK":      {[]uint16{0x00aa}, map[uint16][]byte{groups: curves}, true},
		"TLS 1.2, ECDHE_PSK":    {[]uint16{0xd001, 0xc037}, map[uint16][]byte{groups: curves}, true},
		"TLS 1.3, external":     {[]uint16{tls.TLS_AES_128_GCM_SHA256}, map[uint16][]byte{groups: curves, algorithms: {0, 2, 4, 3}, versions: {2, 3, 4}, modes: {2, 1, 0}, share: point, preShared: identity}, false},
		"TLS 1.3, psk_ke alone": {[]uint16{tls.TLS_AES_128_GCM_SHA256}, map[uint16][]byte{groups: curves, algorithms: {0, 2, 4, 3}, versions: {2, 3, 4}, modes: {1, 0}, preShared: identity}, false},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := sockets(t)
			defer func() { _ = ours.Close() }()
			defer func() { _ = theirs.Close() }()
			last := uint16(groups)
			if c.extensions[preShared] != nil {
				last = preShared // it has to be
			}
			done := make(chan error, 1)
			go func() {
				ctx, stop := context.WithTimeout(context.Background(), patience)
				defer stop()
				_, err := Server(ctx, ours, &tls.Config{Certificates: []tls.Certificate{credential}, ClientAuth: tls.RequireAnyClientCert})
				_ = ours.Close()
				done <- err
			}()
			_, err := theirs.Write(helloOf(c.suites, c.extensions, last))
			require.NoError(t, err)
			require.NoError(t, theirs.SetReadDeadline(time.Now().Add(patience)))
			head := make([]byte, 5)
			_, err = io.ReadFull(theirs, head)
			require.NoError(t, err)
			if c.alert {
				assert.EqualValues(t, 21, head[0], "an alert")
			} else {
				body := make([]byte, int(head[3])<<8|int(head[4]))
				_, err = io.ReadFull(theirs, body)
				require.NoError(t, err)
				assert.False(t, chosen(t, body)[preShared], "the key is taken")
			}
			_ = theirs.Close()
			assert.Error(t, <-done)
		})
	}
}

// chosen are the extensions of a ServerHello.
func chosen(t *testing.T, hello []byte) map[uint16]bool {
	t.Helper()
	s := cryptobyte.String(hello)
	var session, extensions cryptobyte.String
	require.True(t, s.Skip(1+3+2+32) && s.ReadUint8LengthPrefixed(&session) && s.Skip(3) && s.ReadUint16LengthPrefixed(&extensions))
	all := map[uint16]bool{}
	for !extensions.Empty() {
		var id uint16
		var value cryptobyte.String
		require.True(t, extensions.ReadUint16(&id) && extensions.ReadUint16LengthPrefixed(&value))
		all[id] = true
	}
	require.NotEmpty(t, all)
	return all
}
