package aaa

import (
	"github.com/roamgate/roamgate/pkg/radius"
)

// returned is a home's answer as the hub takes it: what the filter of the home
// leaves. p is returned where that is all of it.
//
// hot: 0 allocs but for expressions
func (s *Shard) returned(ex *Exchange, p *radius.Packet, index int32) (*radius.Packet, Reason) {
	if ex.snap.plain || ex.snap.hosts[index].in == nil {
		return p, OK
	}
	hm := ex.snap.hosts[index]
	s.draft.Start(s.draftBuf[:], p)
	if !s.apply(hm.in, ex.visitorOf(), hm, hm.changed[dirIn], true) {
		return p, ReplyTooLong
	}
	return s.drafted()
}

// returning is the answer as the client gets it, but for what every hop does
// (radius.Crypt.ForwardResponse): without what drop has, with extra, and
// through the filter of the client. Where there is nothing to do but that, p,
// extra and drop are returned as they are.
//
// hot: 0 allocs but for expressions
func (s *Shard) returning(ex *Exchange, p *radius.Packet, index int32, extra []byte, drop *radius.Drop) (*radius.Packet, []byte, *radius.Drop, Reason) {
	v := ex.visitorOf()
	if ex.snap.plain || v.out == nil {
		return p, extra, drop, OK
	}
	s.draft.Start(s.spareBuf[:], p)
	s.draft.Drop(drop)
	if !s.draft.Raw(extra) || !s.apply(v.out, v, ex.snap.hosts[index], v.changed[dirOut], true) {
		return p, nil, nil, ReplyTooLong
	}
	p, why := s.drafted()
	return p, nil, nil, why
}
