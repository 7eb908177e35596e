package aaa

import (
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
)

// What becomes of an Accounting-Request whose authenticator is right.
const (
	acctRecorded = iota
	acctConflict
	acctDuplicate
	acctRepeated // its packet was known: answered again, or still being worked on
	acctRefused
	numAcct
)

var acctNames = [numAcct]string{"recorded", "conflict", "duplicate", "repeated", "refused"}

// hubStats are the counters that belong to no client and no home.
type hubStats struct {
	unknownClient stat.ID
	unknownHome   stat.ID
	socketErrors  stat.ID
	failovers     stat.ID
	moved         stat.ID
	logSuppressed stat.ID
	forwarded     stat.ID
	panics        stat.ID
	local         [numReasons]stat.ID
	seconds       [2]stat.ID
	records       [256]stat.ID // by accounting.Kind
	quarantined   [256]stat.ID // by accounting.Reason
	packets       [numAcct]stat.ID
	waited        stat.ID
}

func newHubStats(h *Hub) *hubStats {
	reg, c := h.stats, &hubStats{}
	c.unknownClient = reg.Counter("roamgate_unknown_client_packets_total", "Datagrams from addresses of no client; silently discarded (RFC 2865 section 3).")
	c.unknownHome = reg.Counter("roamgate_unknown_home_packets_total", "Datagrams on home-side sockets from addresses of no home.")
	c.socketErrors = reg.Counter("roamgate_udp_socket_errors_total", "Errors of receiving or of opening home-side sockets.")
	c.failovers = reg.Counter("roamgate_failovers_total", "Requests in flight that were moved to another home of their pool.")
	c.logSuppressed = reg.Counter("roamgate_log_suppressed_total", "Log lines about single packets that were left out: one a second and reason is written.")
	c.moved = reg.Counter("roamgate_moved_total", "Requests in flight whose connection to a home has ended, and that had their turn again at another connection or home.")
	c.forwarded = reg.Counter("roamgate_acct_forwarded_later_total", "Acknowledged accounting records that reached their home from the spool.")
	reg.GaugeFunc("roamgate_acct_owed_oldest_seconds", "How long ago the oldest acknowledged record came that its home has not taken; 0: none is owed.", h.owedAge)
	for l := DeadNoRoute; l <= DeadRefused; l++ {
		reg.GaugeFunc("roamgate_acct_dead_records", "Acknowledged records that no home is given any more: its realm has no rule, too long for the next hop, unreadable, refused by the home with a Protocol-Error or, of Diameter, a permanent failure, or dropped by the operator.",
			func() float64 { return float64(h.spool.DeadLetters(uint8(l))) }, "reason", l.String())
	}
	c.panics = reg.Counter("roamgate_panics_recovered_total", "Mistakes of the hub that a packet found; each is logged with its stack.")
	for _, r := range Reasons() {
		c.local[r] = reg.CounterSparse("roamgate_local_answers_total", "Decisions of the hub itself in the place of a home's answer.", "reason", r.String())
	}
	for k := range c.seconds {
		c.seconds[k] = reg.Histogram("roamgate_request_duration_seconds", "Time from a request's arrival until its first answer.", stat.LatencyBounds, "kind", kindNames[k])
	}
	for _, k := range []accounting.Kind{accounting.Start, accounting.Stop, accounting.Interim, accounting.On, accounting.Off, accounting.Quarantined} {
		c.records[k] = reg.Counter("roamgate_acct_records_total", "Accounting records handed to the spool.", "kind", k.String())
	}
	for _, r := range accounting.Reasons() {
		c.quarantined[r] = reg.CounterSparse("roamgate_acct_quarantined_total", "Accounting records kept but never billed.", "reason", r.String())
	}
	for r, name := range acctNames {
		c.packets[r] = reg.Counter("roamgate_acct_packets_total", "Authentic Accounting-Requests by what became of them, each once: recorded, recorded in conflict with an earlier record of the same event, duplicate of a durable record, repeated packet, or refused, which are never acknowledged.", "result", name)
	}
	c.waited = reg.Counter("roamgate_acct_waited_total", "Repetitions of an accounting event that came while it was on its way to the disk, and waited for it.")
	return c
}

// socketSeries exports what the sockets count themselves.
func (h *Hub) socketSeries() {
	for i, f := range h.shards[0].fronts {
		name := f.Service.String() + " " + f.Addr.String()
		sum := func(of func(*listen.Front) uint64) func() float64 {
			return func() float64 {
				var n uint64
				for _, s := range h.shards {
					n += of(s.fronts[i])
				}
				return float64(n)
			}
		}
		h.stats.CounterFunc("roamgate_udp_kernel_drops_total", "Datagrams the kernel dropped because the receive buffer was full.",
			sum(func(f *listen.Front) uint64 { return f.Conn.Drops() }), "listener", name)
		h.stats.CounterFunc("roamgate_udp_sent_packets_total", "Answers sent.",
			sum(func(f *listen.Front) uint64 { return f.Queue.Sent() }), "listener", name)
		h.stats.CounterFunc("roamgate_udp_send_errors_total", "Answers the kernel did not take.",
			sum(func(f *listen.Front) uint64 { return f.Queue.Errors() }), "listener", name)
	}
}

// handshakeSeries exports what becomes of those who come.
func (h *Hub) handshakeSeries(a *listen.Acceptor) {
	for _, by := range []realm.Transport{realm.TCP, realm.TLS, realm.DTLS} {
		for r := range listen.NumResults {
			h.handshakes(incoming, by, r, func() float64 { return float64(a.Count(by, r)) })
		}
	}
	h.stats.GaugeFunc("roamgate_handshakes_half_open", "Connections that came in and are not established yet.", func() float64 { return float64(a.HalfOpen()) })
	h.stats.CounterFunc("roamgate_accept_pauses_total", "Times that accepting connections had to wait, as it does where there are no file descriptors left.", func() float64 { return float64(a.Pauses()) })
}

func (h *Hub) handshakes(direction string, by realm.Transport, r listen.Result, count func() float64) {
	h.stats.CounterFunc("roamgate_tls_handshakes_total", "Connections that came in (direction in) or that we opened (out), by how their beginning went, the TLS handshake included.",
		count, "direction", direction, "transport", by.String(), "result", r.String())
}
