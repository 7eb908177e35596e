package accounting

import "testing"

func BenchmarkAppendJSON(b *testing.B) {
	_, rec := fullRecord(packet(stop()...))
	view := &View{Hasher: NewHasher([]byte("key"))}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		r, err := Decode(rec)
		if err != nil {
			b.Fatal(err)
		}
		dst = r.AppendJSON(dst[:0], view)
	}
}
