package stream

import (
	"sync"

	"github.com/roamgate/roamgate/pkg/diameter"
)

// What connections borrow. They are lent for as long as something is in them,
// so there are as many as connections that do something at this moment.
const (
	maxPacket = 4096
	minPacket = 20
	maxPlain  = 1 << 14            // of a TLS record
	maxRecord = 5 + maxPlain + 256 // TLS 1.3
	readSize  = 32 << 10           // what one system call reads
	// inSize has room for the begin of a packet, for what crypto/tls kept of
	// the last record, and for what one system call reads.
	inSize    = maxPacket + maxRecord + readSize
	blockSize = maxPlain // of packets to be sent: one record
	// Messages of Diameter are longer; buffers for those that are have a size of
	// their own.
	maxMessage = diameter.MaxLen
	longSize   = maxMessage + maxRecord + readSize
	// together is how many blocks are sent by one system call.
	together   = 4
	cipherSize = together * maxRecord
)

type lender[T any] struct{ pool sync.Pool }

func (l *lender[T]) lend() *T {
	if b, ok := l.pool.Get().(*T); ok {
		return b
	}
	return new(T)
}

func (l *lender[T]) back(b *T) { l.pool.Put(b) }

type sized struct{ b [cipherSize]byte }

var (
	inBuffers     lender[[inSize]byte]
	longBuffers   lender[[longSize]byte]
	readBuffers   lender[[readSize]byte]
	rests         lender[[maxPacket]byte]
	longRests     lender[[maxMessage]byte]
	blocks        lender[block]
	longBlocks    lender[block]
	cipherBuffers lender[sized]
)
