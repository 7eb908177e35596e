package spool

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// segmentLog is the alternative to the store that the benchmarks alternate
// with: a log file of fixed length whose blocks are written before, one
// batch of records behind the other with a checksum, and fdatasync. It has
// the committer's shape and none of its duties: nothing is read back,
// trimmed or owed. It tells what the disk and the shape cost by themselves.
type segmentLog struct {
	mu      sync.Mutex // guards queue and closed
	queue   []*Batch
	closed  bool
	wake    chan struct{}
	stopped chan struct{}

	file    *os.File
	at      int64
	next    uint64
	commits int
	buf     []byte
}

const (
	segmentSize   = 256 << 20
	segmentHeader = 4 + 4 + 8 + 8 // CRC-32C, length, first record, durable through
)

func openSegment(dir string) (*segmentLog, error) {
	f, err := os.Create(filepath.Join(dir, "segment"))
	if err != nil {
		return nil, err
	}
	zeros := make([]byte, 1<<20)
	for at := int64(0); at < segmentSize; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros, at); err != nil {
			return nil, err
		}
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	l := &segmentLog{file: f, next: 1, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	go l.run()
	return l, nil
}

func (l *segmentLog) Submit(b *Batch, done Done) bool {
	l.mu.Lock()
	b.Err, b.done = nil, done
	l.queue = append(l.queue, b)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return true
}

func (l *segmentLog) run() {
	defer close(l.stopped)
	var group []*Batch
	for range l.wake {
		for {
			l.mu.Lock()
			group, l.queue = l.queue, group[:0]
			closed := l.closed
			l.mu.Unlock()
			if len(group) == 0 {
				if closed {
					return
				}
				break
			}
			err := l.commit(group)
			for _, b := range group {
				b.Err = err
				b.done.SpoolDone(b)
			}
		}
	}
}

func (l *segmentLog) commit(group []*Batch) error {
	l.buf = append(l.buf[:0], make([]byte, segmentHeader)...)
	first := l.next
	for _, b := range group {
		b.first = l.next
		for i := range b.tokens {
			rec := b.Record(i)
			l.buf = binary.BigEndian.AppendUint32(l.buf, uint32(len(rec)))
			l.buf = append(l.buf, rec...)
		}
		l.next += uint64(b.Len())
	}
	binary.BigEndian.PutUint32(l.buf[4:], uint32(len(l.buf)))
	binary.BigEndian.PutUint64(l.buf[8:], first)
	binary.BigEndian.PutUint64(l.buf[16:], first-1)
	binary.BigEndian.PutUint32(l.buf, crc32.Checksum(l.buf[4:], castagnoli))
	if l.at+int64(len(l.buf)) > segmentSize {
		l.at = 0 // as if the next segment had been written before, too
	}
	if _, err := l.file.WriteAt(l.buf, l.at); err != nil {
		return err
	}
	l.at += int64(len(l.buf))
	l.commits++
	return syscall.Fdatasync(int(l.file.Fd()))
}

func (l *segmentLog) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.wake <- struct{}{}
	<-l.stopped
	return l.file.Close()
}
