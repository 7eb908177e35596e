package radius

import (
	"crypto/md5"
	"crypto/subtle"

	"github.com/roamgate/roamgate/pkg/radius/lanes"
)

// octets of messages that a batch hashes in one go; more costs a second one.
const batchOctets = 64 << 10

// Proofs checks the authenticators of many packets together, which takes a
// fraction of checking them one by one. What is to be checked is copied when
// it is asked for. It belongs to one shard and is not safe for concurrent use.
// All methods: hot, 0 allocs.
type Proofs struct {
	sums *lanes.Batch
	jobs []proof
	head [HeaderLen]byte
}

type proof struct {
	want   [md5.Size]byte
	secret *Secret // of an HMAC; nil: the sum is the authenticator itself
	sum    int
}

// NewProofs makes room for two proofs of each of so many packets.
func NewProofs(packets int) *Proofs {
	return &Proofs{sums: lanes.New(4*packets, batchOctets), jobs: make([]proof, 0, 2*packets)}
}

// Reset forgets everything asked.
func (k *Proofs) Reset() {
	k.sums.Reset()
	k.jobs = k.jobs[:0]
}

// NoProof is the number of a proof that cannot be: OK is false for it.
const NoProof = -1

// granted is that of a proof with Clear.
const granted = -2

// MessageAuthenticator asks for what Crypt.CheckMessageAuthenticator checks.
// The result is the number to ask OK with.
func (k *Proofs) MessageAuthenticator(p *Packet, s *Secret) int {
	switch p.Code() {
	case AccessRequest, StatusServer:
		return k.mac(p, p.Authenticator(), s)
	case AccountingRequest, CoARequest, DisconnectRequest:
		return k.mac(p, &zeros, s)
	}
	return NoProof
}

// ResponseMessageAuthenticator asks for what
// Crypt.CheckResponseMessageAuthenticator checks.
func (k *Proofs) ResponseMessageAuthenticator(p *Packet, reqAuth *[16]byte, s *Secret) int {
	return k.mac(p, reqAuth, s)
}

// RequestAuthenticator asks for what Crypt.CheckRequestAuthenticator checks.
func (k *Proofs) RequestAuthenticator(p *Packet, s *Secret) int {
	switch p.Code() {
	case AccountingRequest, CoARequest, DisconnectRequest:
		return k.Response(p, &zeros, s)
	}
	return NoProof
}

// Response asks for what Crypt.CheckResponse checks.
func (k *Proofs) Response(p *Packet, reqAuth *[16]byte, s *Secret) int {
	if s.clear {
		return granted
	}
	k.begin(lanes.Fresh, len(s.raw), p, reqAuth)
	k.sums.Write(p.b[HeaderLen:])
	k.sums.Write(s.raw)
	return k.end(nil, p.Authenticator()[:])
}

func (k *Proofs) mac(p *Packet, auth *[16]byte, s *Secret) int {
	off := int(p.first[MessageAuthenticator])
	switch {
	case s.clear:
		return granted
	case off == 0:
		return NoProof
	}
	off += 2
	k.begin(s.innerState, 0, p, auth)
	k.sums.Write(p.b[HeaderLen:off])
	k.sums.Write(zeros[:])
	k.sums.Write(p.b[off+md5.Size:])
	return k.end(s, p.b[off:off+md5.Size])
}

// begin writes the header of p with auth in the place of its authenticator.
func (k *Proofs) begin(from *lanes.State, more int, p *Packet, auth *[16]byte) {
	k.sums.Begin(from, len(p.b)+more)
	copy(k.head[:], p.b[:4])
	copy(k.head[4:], auth[:])
	k.sums.Write(k.head[:])
}

func (k *Proofs) end(s *Secret, want []byte) int {
	k.jobs = append(k.jobs, proof{want: [md5.Size]byte(want), secret: s, sum: k.sums.End()})
	return len(k.jobs) - 1
}

// Run does all that was asked since Reset. It comes once between Resets.
func (k *Proofs) Run() {
	k.sums.Run()
	for i := range k.jobs {
		if j := &k.jobs[i]; j.secret != nil {
			j.sum = outer(k.sums, j.secret, j.sum)
		}
	}
	k.sums.Run()
}

// outer adds the second half of an HMAC to sums and returns its number.
func outer(sums *lanes.Batch, s *Secret, inner int) int {
	sums.Begin(s.outerState, md5.Size)
	sums.Write(sums.Sum(inner)[:])
	return sums.End()
}

// OK says how the proof i came out; its Run has been. The comparison takes the
// same time wherever the difference lies.
func (k *Proofs) OK(i int) bool {
	if i < 0 {
		return i == granted
	}
	j := &k.jobs[i]
	return subtle.ConstantTimeCompare(j.want[:], k.sums.Sum(j.sum)[:]) == 1
}

// Signatures signs many packets together. Each is given when it is written and
// signed in place by Run: until then it may be moved nowhere and must not be
// sent. It belongs to one shard and is not safe for concurrent use. All
// methods: hot, 0 allocs.
type Signatures struct {
	sums *lanes.Batch
	jobs []signature
}

type signature struct {
	b      []byte
	ma     int // offset of the value of the Message-Authenticator, 0 for none
	secret *Secret
	hashed bool // its authenticator is a hash of the packet
	sum    int
}

// NewSignatures makes room for so many packets.
func NewSignatures(packets int) *Signatures {
	return &Signatures{sums: lanes.New(3*packets, batchOctets), jobs: make([]signature, 0, packets)}
}

// Room is the number of packets that may still be given before Run.
func (g *Signatures) Room() int { return cap(g.jobs) - len(g.jobs) }

// Request ends the packet in w as Writer.SignRequest does, and returns its
// octets, which Run completes.
func (g *Signatures) Request(w *Writer, s *Secret) []byte {
	return g.add(w, s, false)
}

// Accounting ends the packet in w as Writer.SignAccounting does.
func (g *Signatures) Accounting(w *Writer, s *Secret) []byte {
	if s.clear {
		return w.end()
	}
	return g.Response(w, s, &zeros)
}

// Response ends the packet in w as Writer.SignResponse does.
func (g *Signatures) Response(w *Writer, s *Secret, reqAuth *[16]byte) []byte {
	if s.clear {
		w.token(reqAuth)
		return w.end()
	}
	w.SetAuthenticator(reqAuth)
	return g.add(w, s, true)
}

func (g *Signatures) add(w *Writer, s *Secret, hashed bool) []byte {
	b := w.end()
	if s.clear {
		return b
	}
	j := signature{b: b, ma: w.ma, secret: s, hashed: hashed, sum: -1}
	switch {
	case w.ma != 0:
		clear(b[w.ma : w.ma+md5.Size])
		g.sums.Begin(s.innerState, len(b))
		g.sums.Write(b)
		j.sum = g.sums.End()
	case hashed:
		j.sum = g.authenticator(b, s)
	}
	g.jobs = append(g.jobs, j)
	return b
}

func (g *Signatures) authenticator(b []byte, s *Secret) int {
	g.sums.Begin(lanes.Fresh, len(b)+len(s.raw))
	g.sums.Write(b)
	g.sums.Write(s.raw)
	return g.sums.End()
}

// Run signs what was given and forgets it.
func (g *Signatures) Run() {
	if len(g.jobs) == 0 {
		return
	}
	g.sums.Run()
	for i := range g.jobs {
		if j := &g.jobs[i]; j.ma != 0 {
			j.sum = outer(g.sums, j.secret, j.sum)
		}
	}
	g.sums.Run()
	for i := range g.jobs {
		if j := &g.jobs[i]; j.ma != 0 {
			copy(j.b[j.ma:], g.sums.Sum(j.sum)[:])
			if j.hashed {
				j.sum = g.authenticator(j.b, j.secret)
			}
		}
	}
	g.sums.Run()
	for i := range g.jobs {
		if j := &g.jobs[i]; j.hashed {
			copy(j.b[4:HeaderLen], g.sums.Sum(j.sum)[:])
		}
	}
	g.sums.Reset()
	g.jobs = g.jobs[:0]
}
