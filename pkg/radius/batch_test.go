package radius_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
)

// signedPacket is one of many kinds, right or with one bit turned.
func signedPacket(r *rand.Rand, i int) (b []byte, code radius.Code, reqAuth [16]byte, s *radius.Secret) {
	codes := []radius.Code{
		radius.AccessRequest, radius.AccountingRequest, radius.AccessAccept, radius.AccessReject,
		radius.AccountingResponse, radius.CoARequest, radius.StatusServer, radius.DisconnectACK,
	}
	code = codes[r.IntN(len(codes))]
	s = hopSecret[string([][]byte{secretIn, secretOut}[r.IntN(2)])]
	reqAuth = auth(byte(i))
	var w radius.Writer
	w.Start(make([]byte, radius.MaxLen), code, byte(i), r.IntN(3) > 0)
	w.SetAuthenticator(&reqAuth)
	for range r.IntN(20) {
		w.Add(radius.Type(1+r.IntN(60)), fill(r.IntN(100)))
	}
	switch code {
	case radius.AccessRequest, radius.StatusServer:
		b = w.SignRequest(hopCrypt, s)
	case radius.AccountingRequest, radius.CoARequest:
		b = w.SignAccounting(hopCrypt, s)
	default:
		b = w.SignResponse(hopCrypt, s, &reqAuth)
	}
	b = bytes.Clone(b)
	if r.IntN(2) == 1 {
		b[4+r.IntN(16)] ^= 1 << r.IntN(8) // the authenticator is in every proof
	}
	return b, code, reqAuth, s
}

// Proofs of a batch come out as those of one packet do.
func TestProofsAgreeWithCrypt(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	proofs := radius.NewProofs(64)
	good, bad := 0, 0
	for range 200 {
		proofs.Reset()
		var numbers []int
		var want []bool
		ask := func(number int, verdict bool) { numbers, want = append(numbers, number), append(want, verdict) }
		for i := range 1 + r.IntN(64) {
			b, _, reqAuth, s := signedPacket(r, i)
			p := parse(t, b)
			ask(proofs.MessageAuthenticator(p, s), hopCrypt.CheckMessageAuthenticator(p, s))
			if r.IntN(2) == 0 {
				ask(proofs.RequestAuthenticator(p, s), hopCrypt.CheckRequestAuthenticator(p, s))
			} else {
				ask(proofs.Response(p, &reqAuth, s), hopCrypt.CheckResponse(p, &reqAuth, s))
			}
			clear(b) // what was asked is copied
		}
		proofs.Run()
		for i := range numbers {
			require.Equal(t, want[i], proofs.OK(numbers[i]), "proof %d", i)
			if want[i] {
				good++
			} else {
				bad++
			}
		}
	}
	assert.Greater(t, good, 1000)
	assert.Greater(t, bad, 1000)
	b, _, reqAuth, s := signedPacket(r, 1)
	proofs.Reset()
	p := parse(t, b)
	number := proofs.ResponseMessageAuthenticator(p, &reqAuth, s)
	proofs.Run()
	assert.Equal(t, hopCrypt.CheckResponseMessageAuthenticator(p, &reqAuth, s), proofs.OK(number))
	assert.False(t, proofs.OK(radius.NoProof))
}

// A whole batch is signed as each packet would be alone.
func TestSignaturesAgreeWithWriter(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	g := radius.NewSignatures(64)
	for range 100 {
		var want, got [][]byte
		for i := range 1 + r.IntN(64) {
			var w radius.Writer
			a, s := auth(byte(i)), hopSecret[string(secretOut)]
			w.Start(make([]byte, radius.MaxLen), radius.AccessAccept, byte(i), r.IntN(2) == 0)
			w.SetAuthenticator(&a)
			w.Add(radius.Class, fill(r.IntN(250)))
			switch r.IntN(3) {
			case 0:
				want = append(want, bytes.Clone(w.SignRequest(hopCrypt, s)))
				got = append(got, g.Request(&w, s))
			case 1:
				want = append(want, bytes.Clone(w.SignAccounting(hopCrypt, s)))
				got = append(got, g.Accounting(&w, s))
			default:
				want = append(want, bytes.Clone(w.SignResponse(hopCrypt, s, &a)))
				got = append(got, g.Response(&w, s, &a))
			}
			assert.Equal(t, 64-len(got), g.Room())
		}
		g.Run()
		for i := range want {
			require.Equal(t, want[i], got[i])
		}
		require.Equal(t, 64, g.Room())
	}
}

func TestAllocsBatches(t *testing.T) {
	proofs, g := radius.NewProofs(64), radius.NewSignatures(64)
	s := hopSecret[string(secretOut)]
	var w radius.Writer
	buf, a := make([]byte, radius.MaxLen), auth(1)
	w.Start(buf, radius.AccessAccept, 1, true)
	w.Add(radius.Class, fill(100))
	p := parse(t, bytes.Clone(w.SignResponse(hopCrypt, s, &a)))
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		proofs.Reset()
		for range 64 {
			proofs.Response(p, &a, s)
			proofs.ResponseMessageAuthenticator(p, &a, s)
			g.Response(&w, s, &a)
		}
		proofs.Run()
		g.Run()
		must(proofs.OK(0) && proofs.OK(127))
	}))
}

// BenchmarkBatches is a batch of replies proved and of responses signed, a
// packet at a time.
func BenchmarkBatches(b *testing.B) {
	proofs, g := radius.NewProofs(64), radius.NewSignatures(64)
	s := hopSecret[string(secretOut)]
	var w radius.Writer
	buf, a := make([]byte, radius.MaxLen), auth(1)
	w.Start(buf, radius.AccessAccept, 1, true)
	w.Add(radius.Class, fill(100))
	p := parse(b, bytes.Clone(w.SignResponse(hopCrypt, s, &a)))
	for _, many := range []int{1, 4, 16, 48} {
		for name, do := range map[string]func(){
			"prove alone": func() {
				must(hopCrypt.CheckResponse(p, &a, s) && hopCrypt.CheckResponseMessageAuthenticator(p, &a, s))
			},
			"sign alone":     func() { w.SignResponse(hopCrypt, s, &a) },
			"prove together": func() { proofs.Response(p, &a, s); proofs.ResponseMessageAuthenticator(p, &a, s) },
			"sign together":  func() { g.Response(&w, s, &a) },
		} {
			b.Run(name+" "+string(rune('0'+many/10))+string(rune('0'+many%10)), func(b *testing.B) {
				for b.Loop() {
					for range many {
						do()
					}
					proofs.Run()
					g.Run()
					proofs.Reset()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*many), "ns/packet")
			})
		}
	}
}
