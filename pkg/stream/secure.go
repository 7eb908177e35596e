package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"reflect"
	"runtime"
)

// suites are those of RFC 9325 section 4.2 that TLS 1.2 is left with. Those of
// TLS 1.3 are not chosen: all are good.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// Harden sets what does not depend on whom we speak with: TLS 1.2 or 1.3 with
// the suites of RFC 9325, no renegotiation, and records as large as there is
// something to put into. crypto/tls has neither compression nor early data, and
// answers a request for authentication after the handshake with an alert.
func Harden(conf *tls.Config) {
	conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
	conf.CipherSuites = suites
	conf.Renegotiation = tls.RenegotiateNever
	conf.DynamicRecordSizingDisabled = true
}

// turns bound how many handshakes compute at a time: thousands that do would
// keep the event loops from their processors for as long as they take. Who waits
// for the peer has given its turn back.
var turns = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))

func takeTurn(ctx context.Context) error {
	select {
	case turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		turns <- struct{}{} // whoever has it is about to leave: nobody waits with one
		return ctx.Err()
	}
}

func leaveTurn() { <-turns }

// shake does the handshake in turns with others.
func (w *wire) shake(ctx context.Context, sec *tls.Conn) error {
	if err := takeTurn(ctx); err != nil {
		leaveTurn()
		return err
	}
	defer leaveTurn()
	w.ctx = ctx
	defer func() { w.ctx = nil }()
	return sec.HandshakeContext(ctx)
}

// accessDenied is the alert of RFC 8446 section 6.2.
const accessDenied = 49

// Deny has the connection of a hello refused with the alert access_denied where
// crypto/tls would say that we have an internal error. It is for
// tls.Config.GetConfigForClient, which then returns an error.
func Deny(hello *tls.ClientHelloInfo) {
	if w, ok := hello.Conn.(*wire); ok {
		w.alert = accessDenied
	}
}

// handshakeError is why there is no connection.
type handshakeError struct {
	error
	sent uint8 // the alert, 0: none, or one that was encrypted
}

func (e *handshakeError) Unwrap() error { return e.error }

// Sent gives the alert by which we have ended a handshake, where it was sent in
// plain text: on versions, ciphers, application protocols and what Deny refused.
func Sent(err error) (code uint8, ok bool) {
	var e *handshakeError
	if !errors.As(err, &e) {
		return 0, false
	}
	return e.sent, e.sent != 0
}

// Alert gives the alert by which a peer has ended a connection or a handshake,
// of the registry of RFC 8446 section 6.
func Alert(err error) (code uint8, ok bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return 0, false
	}
	v := reflect.ValueOf(op.Err) // crypto/tls does not export its type, a uint8
	if v.Kind() != reflect.Uint8 {
		return 0, false
	}
	return uint8(v.Uint()), true
}
