package aaa

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

// together hands several datagrams of one front over as one batch.
func (h *hot) together(datagrams ...[]byte) {
	s, f := h.shard, h.shard.fronts[listen.Auth]
	s.proofs.Reset()
	for i, b := range datagrams {
		s.hear(&s.arrivals[i], f, b, h.from, udp.LocalInfo{})
	}
	s.proofs.Run()
	for i := range datagrams {
		s.take(&s.arrivals[i])
	}
	s.sign()
}

// repliesTogether does the same for datagrams of the first home.
func (h *hot) repliesTogether(datagrams ...[]byte) {
	s := h.shard
	s.proofs.Reset()
	for i, b := range datagrams {
		s.hearReply(&s.arrivals[i], 0, b, h.home[0])
	}
	s.proofs.Run()
	for i := range datagrams {
		s.takeReply(&s.arrivals[i], 0)
	}
	s.sign()
}

func (h *hot) request(id byte, attributes []byte) []byte {
	w := h.begin(radius.AccessRequest)
	h.buf[1] = id
	w.Raw(attributes)
	return bytes.Clone(w.SignRequest(h.crypt, h.in))
}

func (h *hot) accepted(ex *Exchange) []byte {
	h.w.Start(h.buf[:], radius.AccessAccept, ex.homeID, true)
	h.w.Add(radius.ProxyState, h.shard.seal(ex.nonce))
	return bytes.Clone(h.w.SignResponse(h.crypt, h.out, &ex.homeAuth))
}

// What meets in one batch is treated as if it had come one after the other.
func TestOneBatch(t *testing.T) {
	nowhere := tlv(1, "bob@nowhere.example")
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, h *hot)
	}{
		{"a request and its repetition", func(t *testing.T, h *hot) {
			b := h.request(1, papRequest)
			h.together(b, b)
			assert.Equal(t, 1, h.shard.slab.used)
			assert.Equal(t, 1, h.value("roamgate_duplicates_total", "action", "suppressed"))
			h.repliesTogether(h.accepted(h.shard.slab.at(0)))
			assert.Zero(t, h.shard.slab.used)
		}},
		{"a refused request and its repetition", func(t *testing.T, h *hot) {
			b := h.request(1, nowhere)
			h.together(b, b)
			assert.Equal(t, 1, h.value("roamgate_duplicates_total", "action", "suppressed"))
			assert.Equal(t, 1, h.value("roamgate_responses_total", "kind", "auth", "result", "reject"))
			h.together(b)
			assert.Equal(t, 1, h.value("roamgate_duplicates_total", "action", "replayed"))
			h.shard.flush()
			assert.Equal(t, h.hears(), h.hears(), "the same octets again")
		}},
		{"two new requests under one identifier", func(t *testing.T, h *hot) {
			h.together(h.request(1, nowhere), h.request(1, nowhere))
			assert.Equal(t, 2, h.value("roamgate_responses_total", "kind", "auth", "result", "reject"))
			assert.Zero(t, h.value("roamgate_duplicates_total"))
		}},
		{"a refused request and one that takes its slot", func(t *testing.T, h *hot) {
			b := h.request(1, nowhere)
			h.together(b, h.request(2, papRequest), b)
			assert.Equal(t, 1, h.shard.slab.used, "the repetition is not taken for the one at work")
			assert.Equal(t, 1, h.value("roamgate_duplicates_total", "action", "suppressed"))
			h.repliesTogether(h.accepted(h.shard.slab.at(h.only())))
		}},
		{"two equal replies", func(t *testing.T, h *hot) {
			h.together(h.request(1, papRequest))
			b := h.accepted(h.shard.slab.at(h.only()))
			h.repliesTogether(b, b)
			assert.Equal(t, 1, h.value("roamgate_responses_total", "kind", "auth", "result", "accept"))
			assert.Equal(t, 1, h.value("roamgate_home_bad_responses_total", "reason", LateReply.String()))
		}},
		{"a forged reply before the true one", func(t *testing.T, h *hot) {
			h.together(h.request(1, papRequest))
			b := h.accepted(h.shard.slab.at(h.only()))
			forged := bytes.Clone(b)
			forged[4] ^= 1
			h.repliesTogether(forged, b)
			assert.Equal(t, 1, h.value("roamgate_responses_total", "kind", "auth", "result", "accept"))
			assert.Equal(t, 1, h.value("roamgate_home_bad_responses_total", "reason", BadResponseAuthenticator.String()))
		}},
		{"good and forged requests", func(t *testing.T, h *hot) {
			forged := h.request(1, papRequest)
			forged[25] ^= 1
			h.together(h.request(2, papRequest), forged, h.request(3, papRequest), forged[:19])
			assert.Equal(t, 2, h.shard.slab.used)
			assert.Equal(t, 1, h.value("roamgate_dropped_total", "reason", BadMessageAuthenticator.String()))
			h.each(func(ex *Exchange) { h.repliesTogether(h.accepted(ex)) })
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHot(t, false)
			tt.do(t, h)
			h.shard.flush()
			h.clean()
		})
	}
}

// hears is the next answer that the NAS gets.
func (h *hot) hears() []byte {
	buf := make([]byte, radius.MaxLen)
	require.NoError(h.t, h.nas.SetReadDeadline(time.Now().Add(patience)))
	n, err := h.nas.Read(buf)
	require.NoError(h.t, err)
	return buf[:n]
}

// only is the slot of the only Exchange.
func (h *hot) only() uint32 {
	require.Equal(h.t, 1, h.shard.slab.used)
	for slot := range uint32(slabChunk) {
		if h.shard.slab.at(slot).stage != stageFree {
			return slot
		}
	}
	return noSlot
}

// More answers than a queue holds leave it full, and none leaves unsigned.
func TestMoreAnswersThanAQueueHolds(t *testing.T) {
	h := newHot(t, false)
	secret := radius.NewSecret([]byte(visitedSecret))
	asked := map[byte][16]byte{}
	for range 3 {
		var batch [][]byte
		for range batchSize {
			b := h.request(byte(len(asked)), tlv(1, "bob@nowhere.example"))
			asked[b[1]] = [16]byte(b[4:20])
			batch = append(batch, b)
		}
		h.together(batch...)
	}
	h.shard.flush()
	for range 3 * batchSize {
		var p radius.Packet
		require.Equal(t, radius.OK, p.Parse(h.hears()))
		auth := asked[p.Identifier()]
		require.True(t, h.crypt.CheckResponse(&p, &auth, secret))
		require.True(t, h.crypt.CheckResponseMessageAuthenticator(&p, &auth, secret))
		delete(asked, p.Identifier())
	}
	assert.Empty(t, asked)
}

// A kept answer is sent again as it was given, though the answers of the same
// batch need its room once they are signed.
func TestRepetitionWhereAnswersAreShortOfRoom(t *testing.T) {
	h := newHotOf(t, setup{homes: 1, conf: func(c *Config) { c.InFlight, c.DuplicateMem = 1024, 1 }})
	states := tlv(1, "bob@nowhere.example", 33, string(make([]byte, 250)), 33, string(make([]byte, 250)))
	first := h.request(0, states)
	h.together(first)
	h.shard.flush()
	kept := bytes.Clone(h.hears())
	// The queue is full when the repetition comes, and what waits in it for
	// its signature fills all the memory for answers.
	batch := [][]byte{}
	for id := byte(1); id < batchSize; id++ {
		batch = append(batch, h.request(id, states))
	}
	h.together(h.request(batchSize, states))
	h.together(append(batch, first)...)
	h.shard.flush()
	for range batchSize {
		h.hears()
	}
	assert.True(t, bytes.Equal(kept, h.hears()), "somebody else's answer")
}
