package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"

	"github.com/roamgate/roamgate/pkg/stream"
)

// visit is a visitor on its way through the handshake.
type visit struct {
	*Visitor
	refused, distrusted bool
}

type visitKey struct{}

// noCertificate is crypto/tls's word for it: it has no error of its own.
const noCertificate = "tls: client didn't provide a certificate"

// disagreements are the alerts handshake_failure, protocol_version,
// inappropriate_fallback and no_application_protocol.
var disagreements = []uint8{40, 70, 86, 120}

// why sorts the error of a visitor.
func (vi *visit) why(err error) Result {
	switch {
	case vi.refused:
		return Unwelcome
	case vi.distrusted:
		return Distrusted
	}
	return ResultOf(err)
}

// ResultOf sorts the error of a handshake, of whichever side. A certificate that
// its caller has refused it does not know.
func ResultOf(err error) Result {
	var cert *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &cert):
		return Distrusted
	case errors.Is(err, stream.ErrNoCertificate), err.Error() == noCertificate:
		return NoCertificate
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return TimedOut
	case errors.As(err, &header):
		return NotTLS
	}
	if _, alerted := stream.Alert(err); alerted {
		return Alerted
	}
	if code, sent := stream.Sent(err); sent && slices.Contains(disagreements, code) {
		return NoAgreement
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op) && op.Op != "local error" {
		return Gone
	}
	return Broken
}
