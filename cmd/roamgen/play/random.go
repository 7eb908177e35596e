package play

import "math"

// random is splitmix64: the choices of a script are repeatable for a seed
// and need no secrecy, not even the authenticators of a load generator.
type random uint64

// next gives 64 random bits. hot: 0 allocs
func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	return mix(uint64(*r))
}

// share gives a number in [0,1).
func (r *random) share() float64 { return float64(r.next()>>11) / (1 << 53) }

// exponential gives a number with mean 1.
func (r *random) exponential() float64 { return -math.Log(1 - r.share()) }

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// hash is FNV-1a with a final mix: it names conversations and devices, not
// secrets. hot: 0 allocs
func hash(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return mix(h)
}
