package stream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/udp"
)

// forger is a TLS 1.3 peer that writes what records it likes: the handshake is
// that of crypto/tls, what follows is encrypted here.
type forger struct {
	*end
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

const (
	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23
)

func forge(t *testing.T) *forger {
	ours, theirs := sockets(t)
	var keys bytes.Buffer
	conf := clientConfig()
	conf.KeyLogWriter = &keys
	client := tls.Client(theirs, conf)
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	c, err := Server(context.Background(), ours, serverConfig(tls.VersionTLS13))
	require.NoError(t, err)
	require.NoError(t, <-done)
	require.Equal(t, tls.TLS_AES_128_GCM_SHA256, client.ConnectionState().CipherSuite)
	f := &forger{end: &end{t: t, conn: c, peer: theirs, tcp: theirs}}
	f.attach(udp.NewPoller)
	for s := bufio.NewScanner(&keys); s.Scan(); {
		if words := strings.Fields(s.Text()); words[0] == "CLIENT_TRAFFIC_SECRET_0" {
			f.secret, err = hex.DecodeString(words[2])
			require.NoError(t, err)
		}
	}
	f.rekey()
	return f
}

// expand is HKDF-Expand-Label of RFC 8446 section 7.1.
func (f *forger) expand(label string, n int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(info, byte(len("tls13 ")+len(label)))
	info = append(info, "tls13 "+label+"\x00"...)
	b, err := hkdf.Expand(sha256.New, f.secret, string(info), n)
	require.NoError(f.t, err)
	return b
}

func (f *forger) rekey() {
	block, err := aes.NewCipher(f.expand("key", 16))
	require.NoError(f.t, err)
	f.aead, err = cipher.NewGCM(block)
	require.NoError(f.t, err)
	f.iv, f.seq = f.expand("iv", 12), 0
}

// record gives one record of a type.
func (f *forger) record(typ byte, data []byte) []byte {
	nonce := bytes.Clone(f.iv)
	var seq [12]byte
	binary.BigEndian.PutUint64(seq[4:], f.seq)
	for i := range nonce {
		nonce[i] ^= seq[i]
	}
	f.seq++
	header := []byte{recordData, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(header[3:], uint16(len(data)+1+f.aead.Overhead()))
	return append(header, f.aead.Seal(nil, nonce, append(bytes.Clone(data), typ), header)...)
}

// update is a KeyUpdate, and takes the new key.
func (f *forger) update(requested byte) []byte {
	b := f.record(recordHandshake, []byte{24, 0, 0, 1, requested})
	f.secret = f.expand("traffic upd", 32)
	f.rekey()
	return b
}

// flood writes what next gives, n times, until the connection fails.
func (f *forger) flood(n int, next func() []byte) ([][]byte, error) {
	var all []byte
	for range n {
		all = append(all, next()...)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = f.tcp.Write(all)
	}()
	packets, err := f.fails()
	f.conn.Close()
	_ = f.tcp.SetLinger(0)
	<-sent
	return packets, err
}

// A peer that has itself and us take new keys all the time is closed, also
// where it sends a little between.
func TestKeyUpdateFloods(t *testing.T) {
	data := packet(1, 20)
	for name, flood := range map[string]func(f *forger) func() []byte{
		"alone":    func(f *forger) func() []byte { return func() []byte { return f.update(0) } },
		"answered": func(f *forger) func() []byte { return func() []byte { return f.update(1) } },
		"between data": func(f *forger) func() []byte {
			return func() []byte { return append(f.update(1), f.record(recordData, data)...) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := forge(t)
			packets, err := f.flood(1000, flood(f))
			assert.NotErrorIs(t, err, io.EOF)
			assert.LessOrEqual(t, len(packets), 2*idleRecords)
		})
	}
}

// New keys now and then are what a long connection needs.
func TestKeyUpdates(t *testing.T) {
	f := forge(t)
	var all []byte
	const rounds = 20
	for i := range rounds {
		all = append(all, f.update(byte(i%2))...)
		for range 64 {
			all = append(all, f.record(recordData, packet(byte(i), 20))...)
		}
	}
	go func() { _, _ = f.tcp.Write(all) }()
	assert.Len(t, f.receive(64*rounds), 64*rounds)
	in, out := f.conn.Records()
	assert.EqualValues(t, 65*rounds, in)
	assert.EqualValues(t, rounds/2, out)
}

// C60: what carries nothing, authentication after the handshake among it, ends
// the connection.
func TestUselessRecords(t *testing.T) {
	for name, c := range map[string]struct {
		typ  byte
		data []byte
	}{
		"empty":               {recordData, nil},
		"user_canceled":       {recordAlert, []byte{1, 90}},
		"post-handshake auth": {recordHandshake, []byte{13, 0, 0, 3, 0, 0, 0}},
		"a hello":             {recordHandshake, []byte{1, 0, 0, 3, 0, 0, 0}},
		"two KeyUpdates":      {recordHandshake, []byte{24, 0, 0, 1, 1, 24, 0, 0, 1, 1}},
		"endless handshake":   {recordHandshake, append([]byte{24, 0xff, 0xff, 0xff}, make([]byte, 1000)...)},
		"unknown type":        {99, []byte{1}},
		"too large":           {recordData, make([]byte, maxPlain+1)},
	} {
		t.Run(name, func(t *testing.T) {
			f := forge(t)
			_, err := f.flood(40, func() []byte { return f.record(c.typ, c.data) })
			assert.NotErrorIs(t, err, io.EOF)
		})
	}
}

// The peer's word for its going is told by number.
func TestAlerts(t *testing.T) {
	f := forge(t)
	_, err := f.tcp.Write(append(f.record(recordData, packet(7, 33)), f.record(recordAlert, []byte{2, 49})...))
	require.NoError(t, err)
	packets, err := f.fails()
	assert.Equal(t, [][]byte{packet(7, 33)}, packets)
	code, ok := Alert(err)
	assert.True(t, ok)
	assert.EqualValues(t, 49, code)
	for _, err := range []error{nil, io.EOF, &net.OpError{Op: "remote error", Err: io.EOF}, &net.OpError{Op: "read"}} {
		_, ok = Alert(err)
		assert.False(t, ok, "%v", err)
	}
}

// Records of the largest size, full of packets, and packets over records.
func TestLargestRecords(t *testing.T) {
	f := forge(t)
	var data []byte
	var want [][]byte
	for i := range 100 {
		want = append(want, packet(byte(i), 1000+i))
		data = append(data, want[i]...)
	}
	var all []byte
	for ; len(data) > 0; data = data[min(maxPlain, len(data)):] {
		all = append(all, f.record(recordData, data[:min(maxPlain, len(data))])...)
	}
	go func() { _, _ = f.tcp.Write(all) }()
	assert.Equal(t, want, f.receive(len(want)))
}

// What the peer breaks off within a record is told from its end.
func TestCutRecord(t *testing.T) {
	f := forge(t)
	b := f.record(recordData, packet(1, 100))
	_, err := f.tcp.Write(b[:len(b)-1])
	require.NoError(t, err)
	for stop := time.Now().Add(patience); !f.conn.Partial() && time.Now().Before(stop); {
		_, err := f.turn()
		require.NoError(t, err)
	}
	assert.True(t, f.conn.Partial())
	require.NoError(t, f.tcp.CloseWrite())
	_, err = f.fails()
	assert.Equal(t, io.ErrUnexpectedEOF, err)
}

func TestChangedRecord(t *testing.T) {
	f := forge(t)
	b := f.record(recordData, packet(1, 100))
	b[20] ^= 1
	_, err := f.tcp.Write(b)
	require.NoError(t, err)
	packets, err := f.fails()
	assert.Empty(t, packets)
	assert.NotErrorIs(t, err, io.EOF)
}

// A handshake that waits for its peer keeps no other from going on.
func TestSlowHandshakes(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 8)
	for range cap(ended) {
		ours, theirs := sockets(t)
		t.Cleanup(func() { _ = theirs.Close() })
		go func() {
			_, err := Server(ctx, ours, serverConfig(tls.VersionTLS13))
			_ = ours.Close()
			ended <- err
		}()
	}
	e := open(t, tls.VersionTLS13, udp.NewPoller)
	e.write(packet(1, 20))
	e.receive(1)
	cancel()
	for range cap(ended) {
		assert.ErrorIs(t, <-ended, context.Canceled)
	}
	assert.Empty(t, turns)
}

// A chain that is too long costs no more than its octets.
func TestLongHandshake(t *testing.T) {
	ours, theirs := sockets(t)
	defer func() { _ = ours.Close() }()
	defer func() { _ = theirs.Close() }()
	conf := clientConfig()
	long := credential
	for range 500 {
		long.Certificate = append(long.Certificate, credential.Certificate[0])
	}
	conf.Certificates = []tls.Certificate{long}
	go func() { _ = tls.Client(theirs, conf).Handshake() }()
	_, err := Server(context.Background(), ours, serverConfig(tls.VersionTLS13))
	assert.ErrorIs(t, err, ErrHandshake)
}

// C60: a certificate that nobody asked for is missed all the same.
func TestC60NoCertificate(t *testing.T) {
	ours, theirs := sockets(t)
	defer func() { _ = ours.Close() }()
	defer func() { _ = theirs.Close() }()
	go func() { _ = tls.Client(theirs, &tls.Config{InsecureSkipVerify: true}).Handshake() }()
	_, err := Server(context.Background(), ours, &tls.Config{Certificates: []tls.Certificate{credential}})
	assert.ErrorIs(t, err, ErrNoCertificate)
}

// C60: what is weak is not accepted from a server either.
func TestC60Client(t *testing.T) {
	for name, c := range map[string]struct {
		server *tls.Config
		ok     bool
	}{
		"1.3": {&tls.Config{}, true},
		"1.2": {&tls.Config{MaxVersion: tls.VersionTLS12}, true},
		"1.1": {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		"CBC": {&tls.Config{MaxVersion: tls.VersionTLS12,
			CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := sockets(t)
			c.server.Certificates = []tls.Certificate{credential}
			done := make(chan struct{})
			go func() {
				_ = tls.Server(theirs, c.server).Handshake()
				_ = theirs.Close()
				close(done)
			}()
			conn, err := Client(context.Background(), ours, clientConfig())
			<-done
			assert.Equal(t, c.ok, err == nil, "%v", err)
			if err == nil {
				conn.Close()
				return
			}
			_ = ours.Close()
		})
	}
}
