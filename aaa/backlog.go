package aaa

const (
	backlogLook = 250e6     // ns between two looks, and the time a request may wait unread
	backlogMin  = 256 << 10 // octets of a receive buffer, whatever the rate
	// A request takes some 1200 octets of the kernel, which gives twice what
	// it is asked for.
	backlogEach = 600
)

// backlog keeps the queue in front of a shard short in time. The kernel's
// buffer is made for a moment's rush; where it stands full, each request waits
// for all before it, and a shard that is given little of a processor would read
// what its client has given up. So a buffer that was never empty is made no
// larger than what is read of it in a quarter of a second.
type backlog struct {
	looked int64
	heard  int  // datagrams read since
	calm   bool // the fronts were empty once since
	buffer int  // octets the fronts have now
}

// look says how large the fronts' buffers shall be, 0: as they are. most is
// what they are when nothing stands.
func (b *backlog) look(now int64, waiting bool, most int) (octets int) {
	b.calm = b.calm || !waiting
	lasted := now - b.looked
	if lasted < backlogLook {
		return 0
	}
	want := most
	if !b.calm {
		want = min(max(int(int64(b.heard)*backlogLook/lasted)*backlogEach, backlogMin), most)
	}
	b.looked, b.heard, b.calm = now, 0, false
	if want == b.buffer || want < most && want > b.buffer*3/4 && want < b.buffer*4/3 {
		return 0
	}
	b.buffer = want
	return want
}

// shorten sets the fronts' buffers as the backlog asks.
func (s *Shard) shorten(waiting bool) {
	octets := s.backlog.look(s.now, waiting, s.hub.conf.RecvBuffer)
	if octets == 0 {
		return
	}
	for _, f := range s.fronts {
		if err := f.Conn.SetRecvBuffer(octets); err != nil {
			s.stats.Add(s.ctr.socketErrors, 1)
		}
	}
}
