package spool

import (
	"encoding/binary"
	"hash/crc32"
)

// The store's log, as far as reading around damage needs it: blocks of 32
// KiB hold chunks, which do not cross them. A chunk is
//
//	CRC-32C of all behind it, masked (4), length (2), type (1), low half of
//	the log's number (4), synced up to (8), content
//
// little endian. A write is one full chunk, or a first one, some in the
// middle and a last one. A log is written over an older one: chunks with
// another number are what is left of that. The store itself stops at the
// first chunk that is not good; here the next good one is looked for.
const (
	logBlock    = 32 << 10
	logHeader   = 4 + 2 + 1 + 4
	logSyncedTo = 8

	chunkFull   = 0 // and first, middle, last, each with one of these added
	chunkFirst  = 1
	chunkLast   = 3
	chunkOlder  = 5
	chunkNewest = 9
)

// logHole is a stretch of a log that cannot be read, in octets from its
// beginning.
type logHole struct{ from, to int }

// readLog calls f for the content of every write that is whole and undamaged
// in the log numbered num, and returns the holes that have good chunks behind
// them: what follows the last good chunk is a torn end, or older.
func readLog(b []byte, num uint32, f func(write []byte)) (holes []logHole) {
	var write []byte
	begun, bad := false, -1
	for at := 0; at+logHeader <= len(b); {
		if left := logBlock - at%logBlock; left < logHeader || left < logHeader+logSyncedTo && zeros(b[at:min(len(b), at+left)]) {
			at += left // too short for a chunk
			continue
		}
		kind, n, ok := chunk(b[at:min(len(b), at-at%logBlock+logBlock)], num)
		if !ok {
			if bad < 0 {
				bad = at
			}
			begun = false
			at = afterBad(b, at, num)
			continue
		}
		if bad >= 0 {
			holes, bad = append(holes, logHole{bad, at}), -1
		}
		content := b[at+headerLen(b[at+6]) : at+n : at+n]
		switch kind {
		case chunkFull:
			f(content)
			begun = false
		case chunkFirst:
			write, begun = append(write[:0], content...), true
		default:
			write = append(write, content...)
			if kind == chunkLast && begun {
				f(write)
				begun = false
			}
		}
		at += n
	}
	return holes
}

// afterBad is where to look next: behind the chunk if its length leads to a
// good one, else in the next block.
func afterBad(b []byte, at int, num uint32) int {
	block := at - at%logBlock + logBlock
	next := at + headerLen(b[at+6]) + int(binary.LittleEndian.Uint16(b[at+4:]))
	if next+logHeader <= min(block, len(b)) {
		if _, _, ok := chunk(b[next:min(block, len(b))], num); ok {
			return next
		}
	}
	return block
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func headerLen(kind byte) int {
	if kind < chunkNewest {
		return logHeader
	}
	return logHeader + logSyncedTo
}

// chunk checks the chunk at the beginning of b, which ends with its block,
// and returns its length.
func chunk(b []byte, num uint32) (kind, n int, ok bool) {
	if len(b) < logHeader {
		return 0, 0, false
	}
	n = headerLen(b[6]) + int(binary.LittleEndian.Uint16(b[4:]))
	switch {
	case b[6] >= chunkNewest:
		kind = int(b[6]) - chunkNewest
	case b[6] >= chunkOlder:
		kind = int(b[6]) - chunkOlder
	default:
		return 0, 0, false
	}
	if kind > chunkLast || n > len(b) || binary.LittleEndian.Uint32(b[7:]) != num {
		return 0, 0, false
	}
	crc := crc32.Checksum(b[6:n], castagnoli)
	return kind, n, binary.LittleEndian.Uint32(b) == crc>>15|crc<<17+0xa282ead8
}
