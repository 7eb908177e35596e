package clearing

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting/queue"
	"github.com/roamgate/roamgate/accounting/usage"
)

// FuzzRead gives the store messages that anybody may have written: they are
// kept as they are, or every record of them is a report in its place or kept.
func FuzzRead(f *testing.F) {
	h := newHub(f, "hub-1")
	d := h.batch(life("s", noon)...)
	f.Add(d.Node, d.First, d.Last, d.N, d.NQ, d.Encoding, d.Data, d.Quarantined)
	odd := h.batch(packet{kind: 99, session: "q", nas: "ap", at: noon}, packet{kind: 1, session: "", nas: "ap", at: noon})
	f.Add(odd.Node, odd.First, odd.Last, odd.N, odd.NQ, odd.Encoding, odd.Data, odd.Quarantined)
	f.Add("", uint64(0), uint64(0), 0, 0, "", []byte(nil), []byte(nil))
	f.Add("n", uint64(1), ^uint64(0), -1, 1<<40, queue.Encoding, []byte("{}\n"), []byte("\n"))
	f.Add("n", uint64(1), uint64(1), 1, 0, queue.Encoding, []byte("{\"v\":2,\"seq\":1}\n"), []byte(nil))
	s := &Store{o: Options{Directory: "none"}}
	require.NoError(f, s.o.defaults())
	f.Fuzz(func(t *testing.T, node string, first, last uint64, n, nq int, encoding string, data, quarantined []byte) {
		d := seal(&queue.Delivery{
			Node: node, Epoch: 1, First: first, Last: last, N: n, NQ: nq, Encoding: encoding,
			Data: data, Quarantined: quarantined,
		})
		in, letter := s.read(d)
		if letter != nil {
			assert.Nil(t, in)
			assert.Contains(t, DeadReasons(), letter.Reason)
			assert.Equal(t, letter.Cut, !bytes.Equal(data, letter.Data) || !bytes.Equal(quarantined, letter.Quarantined) ||
				node != letter.Node || encoding != letter.Encoding)
			return
		}
		assert.Len(t, in.reports, n+nq-len(in.letters))
		seq := first - 1
		for _, r := range in.reports {
			assert.Greater(t, r.Seq, seq)
			assert.LessOrEqual(t, r.Seq, last)
			assert.Equal(t, node, r.Node)
			seq = r.Seq
		}
	})
}

// FuzzStored reads what stands in the store from octets that did not come
// from there: an error, or what is written again the same.
func FuzzStored(f *testing.F) {
	tr := Trace{Source: usage.Source{Node: "hub-1", Epoch: 7, Seq: 8}, Reason: "why", Arrival: noon, Event: noon, InputOctets: 1 << 40}
	f.Add(tr.append(nil))
	src := Source{SourceID: SourceID{"hub-1", 7}, Lowest: 1, Whole: 2, Highest: 3, Since: noon}
	f.Add(appendSource(nil, &src))
	f.Add(appendStretch(nil, &stretch{First: 1, Last: 2, taken: noon}))
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Add(append(make([]byte, 16), `{"number":1}`...))
	f.Fuzz(func(t *testing.T, v []byte) {
		if tr, err := readTrace(v); err == nil {
			got, err := readTrace(tr.append(nil))
			require.NoError(t, err)
			assert.Equal(t, tr, got)
		}
		k := sourceKey(keySource, SourceID{"hub-1", 7})
		if src, err := readSource(k, v); err == nil {
			assert.Equal(t, v, appendSource(nil, src))
		}
		if st, err := readStretch(k, v); err == nil {
			assert.Equal(t, v, appendStretch(nil, &st))
		}
		_, _ = readSource(v, make([]byte, 64))
		_, _ = readSession(v)
		_, _ = readLetter(v)
		_, _ = readEntry(1, v)
		if key, ok := readTally(append([]byte{keyTally}, v...)); ok && key.Class != usage.Classes {
			assert.Equal(t, append([]byte{keyTally}, v...), tallyKey(key))
		}
		_, _ = (&stored{Reports: 3, tail: v}).traces([]chunk{{0, v}})
	})
}
