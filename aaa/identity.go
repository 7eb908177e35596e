package aaa

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"

	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// vendor3GPP is the private enterprise number of 3GPP (TS 29.061).
const (
	vendor3GPP      = 10415
	tgppIMSI        = 1
	tgppRATType     = 21
	tgppSGSNNetwork = 18 // 3GPP-SGSN-MCC-MNC: five or six digits
	tgppIMEISV      = 20
)

// query collects what the device policy decides on. The octets are borrowed
// from p.
func (s *Shard) query(ex *Exchange, p *radius.Packet, user, folded []byte) device.Query {
	q := deviceQuery(p, user, folded)
	q.Route, q.Client, q.Now, q.Wall = ex.route, ex.client.Spec, s.now, s.wall/1e9
	return q
}

// deviceQuery is what the policy learns from the request itself.
func deviceQuery(p *radius.Packet, user, folded []byte) device.Query {
	q := device.Query{User: user, Realm: folded, Continues: p.Has(radius.State)}
	q.IMSI, _ = p.Vendor(vendor3GPP, tgppIMSI)
	q.CallingStation, _ = p.First(radius.CallingStationID)
	q.CUI, _ = p.First(radius.ChargeableUserID)
	q.OperatorName, _ = p.First(radius.OperatorName)
	q.NASPortType, q.HasNASPortType = p.Uint32(radius.NASPortType)
	if rat, ok := p.Vendor(vendor3GPP, tgppRATType); ok && len(rat) == 1 {
		q.RATType, q.HasRATType = rat[0], true
	}
	if q.IMSI != nil || q.HasRATType {
		// It is from a mobile network, which may say which one, and name the equipment.
		if plmn, ok := p.Vendor(vendor3GPP, tgppSGSNNetwork); ok {
			q.Network, _ = realm.NetworkOfDigits(plmn)
		}
		q.IMEI, _ = p.Vendor(vendor3GPP, tgppIMEISV)
	}
	return q
}

// deviceHash keys the choice of a home: the same for every request of one
// device, in every process, so that an EAP conversation stays with its home
// even when the visited network alternates between hubs.
func deviceHash(p *radius.Packet, name []byte) uint64 {
	h := spread(hashBasis, name)
	if station, ok := p.First(radius.CallingStationID); ok {
		h = spread(h, station)
	}
	return h
}

// hashBasis is where spread begins; any odd number would do.
const hashBasis = 14695981039346656037

// spread goes on hashing from h. The result is the same after a restart and in
// another hub; it is no defence against who chooses b.
func spread(h uint64, b []byte) uint64 {
	const odd = 0x9e3779b97f4a7c15
	rest := uint64(len(b))
	for ; len(b) >= 8; b = b[8:] {
		h = (h ^ binary.LittleEndian.Uint64(b)) * odd
		h ^= h >> 32
	}
	for _, c := range b {
		rest = rest<<8 | uint64(c)
	}
	h = (h ^ rest) * odd
	return h ^ h>>32
}

// ownProxyState is the length of the Proxy-State this hub adds: a mark, a
// nonce and a tag that only this process can make.
const (
	ownProxyState = 14
	proxyMark     = 2
	proxyNonce    = 4
)

var mark = [proxyMark]byte{'r', 'g'}

// seal writes our Proxy-State for a nonce.
func (s *Shard) seal(nonce uint32) []byte {
	b := s.proxy[:]
	copy(b, mark[:])
	b[2], b[3], b[4], b[5] = byte(nonce>>24), byte(nonce>>16), byte(nonce>>8), byte(nonce)
	copy(s.tagIn[:], b[:proxyMark+proxyNonce])
	s.tag.Encrypt(s.tagOut[:], s.tagIn[:])
	copy(b[proxyMark+proxyNonce:], s.tagOut[:8])
	return b
}

// own says whether a Proxy-State is one this process made, and whether it
// only looks like it.
func (s *Shard) own(v []byte) (ours, forged bool) {
	if len(v) != ownProxyState || v[0] != mark[0] || v[1] != mark[1] {
		return false, false
	}
	nonce := uint32(v[2])<<24 | uint32(v[3])<<16 | uint32(v[4])<<8 | uint32(v[5])
	ours = bytes.Equal(v, s.seal(nonce))
	return ours, !ours
}

// firstHop tells a NAS from a proxy: a proxy adds Proxy-State.
func (s *Shard) firstHop(p *radius.Packet) bool { return !p.Has(radius.ProxyState) }

// checkNASAddress counts a NAS that names another address than it sends
// from (RFC 3579 section 4.3.7). Behind address translation that is normal,
// so it is a figure for the operator, not a refusal.
func (s *Shard) checkNASAddress(ex *Exchange, p *radius.Packet) {
	v4, ok4 := p.First(radius.NASIPAddress)
	v6, ok6 := p.First(radius.NASIPv6Address)
	if !ok4 && !ok6 {
		return
	}
	src := &ex.from.IP
	if ok4 && ex.from.V4 && bytes.Equal(v4, src[12:]) || ok6 && !ex.from.V4 && bytes.Equal(v6, src[:]) {
		return
	}
	if ok4 != ex.from.V4 && ok6 == ex.from.V4 {
		return // only the other family is named: nothing to compare
	}
	s.stats.Add(ex.snap.clientStats[ex.client.Index].nasAddr, 1)
}

// conversation remembers which home gave a State. The device is part of the
// first key, as homes may give short States and two of them the same; the
// second finds a conversation whose device goes by another name now.
func (s *Shard) conversation(ex *Exchange, state []byte) (own, any uint64) {
	any = maphash.Bytes(s.hub.seed, state)
	return any ^ ex.key, any
}
