package session

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/roamgate/roamgate/accounting"
)

// Session is what is known of one session. The exported fields are what a
// store indexes it by; the rest is its own (AppendBinary).
type Session struct {
	ID         ID
	Generation uint64         // Unix seconds of its start as first heard
	NAS        accounting.Key // names the NAS of the visited network
	Open       bool           // no Stop yet, and not closed without one
	Due        int64          // Unix seconds when Close must look at it, 0 never
	Updated    int64          // Unix seconds of the last change, by the reports' own time
}

// AppendBinary appends the stored form, which holds the exported fields too.
func (s *Session) AppendBinary(b []byte) ([]byte, error) { panic("to be written") }

// UnmarshalBinary reads the stored form. It fails on any octets that
// AppendBinary did not make, and on a form newer than this program's.
func (s *Session) UnmarshalBinary(b []byte) error { panic("to be written") }

// Key names the session in its records (usage.Record.Session): the ID alone
// names all of its Generations.
func (s *Session) Key() (k accounting.Key) {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(append(make([]byte, 0, 24), s.ID[:]...), s.Generation))
	copy(k[:], sum[:])
	return k
}
