// Package dtls makes connections of pkg/stream over DTLS 1.2: it does the
// handshakes, and tells the peers of a socket apart (RFC 6347, RFC 7360,
// draft-ietf-radext-radiusdtls-bis section 5).
//
// A Door is one UDP socket with many peers; a Peer is what one of them sends and
// is sent. Datagrams of strangers are looked at only where they may begin a
// handshake. One record is one packet; what comes beside is dropped by
// stream.Datagrams. The protocol is that of github.com/pion/dtls, which has
// goroutines of its own for each connection, so DTLS costs more than TLS, is
// off unless a door or a home asks for it, and never carries RADIUS/1.1, which
// needs a version 1.3 that pion has not released.
//
// A tls.Config is asked for its certificate by the name that the peer gives and
// for its VerifyConnection, without which there is no connection: nothing else
// judges a peer. Suites are those of RFC 9325 with AEAD and ephemeral keys, the
// extended master secret is required, and no session is resumed.
//
// Pre-shared keys are not offered, neither here nor over TLS; that is a gap
// (draft section 3.3.2 and RFC 9813 want them of a server). crypto/tls has no
// external keys, and a session cannot stand for one: the binder of an external
// key has another label (RFC 8446 section 7.1). The forks that added them have
// stopped: raff/tls-psk at Go 1.13 and TLS 1.2, mordyovits/golang-crypto-tls
// declared unsupported in 2020. None that was found follows the security fixes of
// crypto/tls. pion has them for DTLS 1.2,
// but the only suite with forward secrecy, ECDHE_PSK with AES_128_CBC_SHA256,
// is no AEAD, which RFC 9325 section 4.2 asks for, and reading it could be made
// to panic until v3.1.4 (GHSA-wg4g-wm44-ch5j).
// Until there is a maintained library with TLS 1.3, a lab makes certificates
// with `roamgate cert new-ca`.
//
// Concurrency: a Door may be used by many goroutines, a Peer as a
// net.PacketConn.
//
// It knows no client; who may begin is asked of the caller. A peer that starts
// anew from the same port is heard when its old connection has ended. A Door on
// the wildcard address answers from the address that the system chooses.
package dtls
