package play

import (
	"crypto/hmac"
	"crypto/md5"

	"layeh.com/radius"
)

// layehMAC is the HMAC-MD5 of p as it stands over the given authenticator.
func layehMAC(p *radius.Packet, auth [16]byte) []byte {
	q := *p
	q.Authenticator = auth
	b, err := q.MarshalBinary()
	if err != nil {
		return nil
	}
	m := hmac.New(md5.New, p.Secret)
	m.Write(b)
	return m.Sum(nil)
}
