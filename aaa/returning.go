package aaa

import (
	"bytes"

	"github.com/roamgate/roamgate/pkg/radius"
)

// returned is a home's answer as the hub takes it: what the filter of the home
// leaves. p is returned where that is all of it.
//
// hot: 0 allocs but for expressions
func (s *Shard) returned(ex *Exchange, p *radius.Packet, index int32) (*radius.Packet, Reason) {
	s.recall(ex, p, index)
	if ex.snap.plain || ex.snap.host(index).in == nil {
		return p, OK
	}
	hm := ex.snap.host(index)
	s.draft.Start(s.draftBuf[:], p)
	if !s.apply(hm.in, ex, ex.visitorOf(), hm, hm.changed[dirIn], true) {
		return p, ReplyTooLong
	}
	return s.drafted()
}

// recall works out which User-Name the home has got, if it is not the client's
// and the answer has one. It takes the draft, so it comes first.
func (s *Shard) recall(ex *Exchange, p *radius.Packet, index int32) {
	s.sentName = nil
	if !p.Has(radius.UserName) || !ex.renames(index) {
		return
	}
	if sent, why := s.outgoing(ex, s.parsed(ex), index); why == OK {
		name, _ := sent.First(radius.UserName)
		s.sentName = append(s.sentBuf[:0], name...)
	}
}

// returning is the answer as the client gets it, but for what every hop does
// (radius.Crypt.ForwardResponse): without what drop has, with extra, with the
// client's own User-Name where the home has sent back what became of it, and
// through the filter of the client. Where there is nothing to do but that, p,
// extra and drop are returned as they are.
//
// hot: 0 allocs but for expressions
func (s *Shard) returning(ex *Exchange, p *radius.Packet, index int32, extra []byte, drop *radius.Drop) (*radius.Packet, []byte, *radius.Drop, Reason) {
	v := ex.visitorOf()
	if s.sentName == nil && (ex.snap.plain || v.out == nil) {
		return p, extra, drop, OK
	}
	s.draft.Start(s.spareBuf[:], p)
	s.draft.Drop(drop)
	ok := s.draft.Raw(extra) && s.unrename(ex) && s.apply(v.out, ex, v, ex.snap.host(index), v.changed[dirOut], true)
	if !ok {
		return p, nil, nil, ReplyTooLong
	}
	p, why := s.drafted()
	return p, nil, nil, why
}

// unrename gives the client its User-Name back. A home that says another one
// than it got means it.
func (s *Shard) unrename(ex *Exchange) bool {
	if s.sentName == nil {
		return true
	}
	own, _ := s.parsed(ex).First(radius.UserName)
	for off := s.draft.Find(radius.UserName, radius.HeaderLen); off != 0; {
		a, next, _ := s.draft.Next(off)
		if bytes.Equal(a.Value(), s.sentName) {
			ok := false
			if next, ok = s.draft.Change(off, own); !ok {
				return false
			}
		}
		off = s.draft.Find(radius.UserName, next)
	}
	return true
}
