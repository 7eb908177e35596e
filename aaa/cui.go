package aaa

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"hash"

	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// Chargeable-User-Identity (RFC 4372) is the home's word for a user, which the
// visited network repeats in accounting. The hub carries it and neither adds nor
// edits one (section 2.1), unless a home has left that to it: then the hub is
// the home's hand, and its word is a keyed hash of the user and of the network
// that asked, so that two visited networks cannot put together what they know.
//
// Accounting carries the CUI to the home as the visited network has said it,
// also one that was issued here: it is the one word for the session that all
// three parties have, and the record of the spool shows the same octets.

// cuiLabel keeps the key of these hashes apart from others of the hub's key. A
// change of it changes every CUI.
const cuiLabel = "roamgate chargeable-user-identity 1"

// cuiLen is the length of a CUI that is issued here: 24 octets of the hash in
// the letters of a URL.
const cuiLen = 32

// issuer makes CUIs. It belongs to one shard.
type issuer struct {
	mac hash.Hash
	sum [sha256.Size]byte
	rlm [nai.MaxLen]byte
	out [2 + cuiLen]byte
}

func newIssuer(identity []byte) issuer { return issuer{mac: keyed(identity, cuiLabel)} }

// issue makes the attribute for a user of a realm at a visited network, which
// may be one behind another, nil for a user that stands for many. It is good
// until the next one.
//
// hot: 0 allocs
func (i *issuer) issue(user, rlm, visited, behind []byte) []byte {
	if isAnonymous(user) {
		return nil
	}
	i.mac.Reset()
	i.out[0] = byte(len(user))
	i.mac.Write(i.out[:1]) // where the user ends
	i.mac.Write(user)
	i.out[0] = byte(len(rlm))
	i.mac.Write(i.out[:1])
	i.mac.Write(nai.Fold(&i.rlm, rlm))
	i.mac.Write(visited)
	if behind != nil {
		i.out[0] = 0 // where the one in front ends
		i.mac.Write(i.out[:1])
		i.mac.Write(nai.Fold(&i.rlm, behind))
	}
	sum := i.mac.Sum(i.sum[:0])
	i.out[0], i.out[1] = byte(radius.ChargeableUserID), 2+cuiLen
	base64.RawURLEncoding.Encode(i.out[2:], sum[:cuiLen/4*3])
	return i.out[:]
}

// isAnonymous knows the users that stand for many (RFC 7542 section 2.4): none
// at all, and "anonymous" with whatever a supplicant puts behind it.
func isAnonymous(user []byte) bool {
	const many = "anonymous"
	return len(user) == 0 || len(user) >= len(many) && bytes.EqualFold(user[:len(many)], []byte(many))
}

// issueCUI appends the CUI that the visited network has asked for, where the
// home has given none and has left it to the hub. Who the user is the home says
// best: its User-Name counts before that of the request, unless it only returns
// what that has become on the way. A name without a realm is one of the realm
// that was asked.
//
// hot: 0 allocs
func (s *Shard) issueCUI(ex *Exchange, p *radius.Packet, extra []byte) []byte {
	req := s.parsed(ex)
	if !req.Has(radius.ChargeableUserID) {
		return extra
	}
	own, _ := req.First(radius.UserName)
	user, rlm := parts(own)
	if name, ok := p.First(radius.UserName); ok && (s.sentName == nil || !bytes.Equal(name, s.sentName)) {
		said, where := parts(name)
		if user = said; where != nil {
			rlm = where
		}
	}
	v := ex.visitorOf()
	visited := v.vars[realm.VarOperatorID]
	if o := ex.ownOperator(); o != nil {
		visited = o.octets
	}
	if len(visited) == 0 {
		visited = v.vars[realm.VarClient]
	}
	// Behind a federation are many networks, and none gets another's CUI by
	// calling itself so, as what the client is called counts too.
	behind, _ := req.First(radius.OperatorName)
	if len(behind) > nai.MaxLen || realm.OperatorIs(v.spec.Operator, behind) {
		behind = nil
	}
	cui := s.issuer.issue(user, rlm, visited, behind)
	if cui == nil {
		return extra
	}
	if extra == nil {
		extra = s.extra[:0]
	}
	return append(extra, cui...)
}

// parts splits a name at its last @; without one the realm is nil.
func parts(name []byte) (user, rlm []byte) {
	at := bytes.LastIndexByte(name, '@')
	if at < 0 {
		return name, nil
	}
	return name[:at], name[at+1:]
}

// isNUL knows the CUI with which a visited network says that it wants one. From
// a home it says nothing.
func isNUL(cui []byte) bool { return len(cui) == 0 || len(cui) == 1 && cui[0] == 0 }
