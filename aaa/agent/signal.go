package agent

import (
	"encoding/hex"
	"hash/maphash"
	"strconv"
	"time"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
)

// signals counts what is clearing evidence and has no accounting of its own: the
// signalling of S6a, messages of SGd and S6c, and the octets of non-IP data over T6a and
// T7 (3GPP TS 29.128 section 6.1.3). A device's requests of one command from one sender
// are one count until the window ends; then each result that it had becomes a record,
// an EVENT_RECORD of our own, which takes the way of all records.
//
// By the hour and device it is a few records for a device that works, and one message
// costs a look into a table. The table is bounded: what finds it full is counted without
// the device, so that totals stay right. It belongs to the loop.
type signals struct {
	window int64 // ns, not above 0: nothing is counted
	began  int64
	seed   maphash.Seed
	index  map[uint64]uint32 // by the hash of subject: place in list
	list   signalList
	free   []uint32
	sweep  int // how far the window that has ended is written, list.n: all is
	serial uint32
	w      diameter.Writer
	room   []byte
	ctr    signalStats
}

// subject is what is counted together.
type subject struct {
	client  string
	route   string
	realm   string // asked for
	command int    // in commandNames
	bearer  string
	device  string // "": of nobody in particular
}

type signal struct {
	key     uint64
	of      subject
	spec    *realm.Client
	since   int64 // wall of the first request, Unix ns
	pending int   // requests without an answer yet
	results [mostResults]resultCount
	in, out uint64 // octets of non-IP data that were taken: from and to the device
}

// signalList grows by pages, each when it is needed: one array of all would be copied,
// megabytes at a time, while messages wait.
type signalList struct {
	pages []*[signalPage]signal
	n     int
}

const signalPage = 128

// at gives one of those that grow has made.
//
// hot: 0 allocs
func (l *signalList) at(i uint32) *signal { return &l.pages[i/signalPage][i%signalPage] }

// grow makes room for one more and gives its place.
func (l *signalList) grow() uint32 {
	if l.n == signalPage*len(l.pages) {
		l.pages = append(l.pages, new([signalPage]signal))
	}
	l.n++
	return uint32(l.n - 1)
}

// resultCount counts requests with one result, 0: there was no answer.
type resultCount struct {
	result uint32
	n      uint64
}

const (
	mostSignals  = 1 << 16
	mostResults  = 6 // the last is for all others
	signalsAtOne = 64
	otherResult  = 0xffffffff
	signalWindow = time.Hour
	ownRecord    = uint64(1) << 40 // token of a record that no transaction waits for
)

type signalStats struct{ counted, anonymous stat.ID }

func newSignals(window time.Duration, now int64, reg *stat.Registry) signals {
	if window == 0 {
		window = signalWindow
	}
	s := signals{window: int64(window), began: now, seed: maphash.MakeSeed()}
	s.ctr.counted = reg.Counter("roamgate_diameter_signalling_total", "Requests of signalling (S6a, SGd, S6c) and non-IP data (T6a, T7) that are counted for clearing.")
	s.ctr.anonymous = reg.Counter("roamgate_diameter_signalling_anonymous_total", "Requests of signalling and non-IP data that are counted for clearing without their device, because the table of devices was full: totals stay right.")
	return s
}

// signalled reports whether requests of an application are counted.
//
// hot: 0 allocs
func signalled(application uint32) bool {
	switch application {
	case diameter.AppS6a, diameter.AppS6c, diameter.AppSGd, diameter.AppS6t, diameter.AppT6a:
		return true
	}
	return false
}

// signal counts a request that goes to a peer; the answer is counted by heardOf.
//
// hot: 0 allocs for a device that is known
func (lp *loop) signal(t *transaction, m *diameter.Message) {
	s := &lp.signals
	if s.window <= 0 || lp.ledger.spool == nil || !signalled(t.application) || t.of.gateway {
		return
	}
	data, bearer := octetsOf(m)
	device := deviceOf(m)
	asked := folded(&lp.fold, m.Value(diameter.KnownDestinationRealm))
	client := lp.clientOf(t.of)
	var h maphash.Hash
	h.SetSeed(s.seed)
	_, _ = h.WriteString(client.Name)
	_ = h.WriteByte(0)
	_, _ = h.Write(asked)
	_ = h.WriteByte(byte(commandOf(t.application, t.command)))
	_, _ = h.Write(bearer)
	_ = h.WriteByte(0)
	rest := h
	_, _ = h.Write(device)
	key := h.Sum64()
	at, ok := s.index[key]
	if !ok && s.list.n-len(s.free) >= mostSignals {
		lp.stats.Add(s.ctr.anonymous, 1)
		device, key = nil, rest.Sum64()
		at, ok = s.index[key]
	}
	if !ok {
		at = s.add(key, subject{
			client: client.Name, realm: lp.ledger.realms.of(asked), command: commandOf(t.application, t.command),
			bearer: string(bearer), device: string(device),
		}, lp.wall)
		g := s.list.at(at)
		if g.spec = client; t.way != nil {
			g.of.route = t.way.route.Label()
		}
	}
	s.list.at(at).pending++
	t.voucher.signal, t.voucher.octets = at+1, uint32(len(data))
	lp.stats.Add(s.ctr.counted, 1)
}

func (s *signals) add(key uint64, of subject, wall int64) (at uint32) {
	if s.index == nil {
		s.index = make(map[uint64]uint32)
	}
	if n := len(s.free); n > 0 {
		at, s.free = s.free[n-1], s.free[:n-1]
	} else {
		at = s.list.grow()
	}
	*s.list.at(at) = signal{key: key, of: of, since: wall}
	s.index[key] = at
	return at
}

// heardOf counts the answer to a request that was counted, 0: there was none.
//
// hot: 0 allocs
func (lp *loop) heardOf(t *transaction, result uint32) {
	if t.voucher.signal == 0 {
		return
	}
	g := lp.signals.list.at(t.voucher.signal - 1)
	t.voucher.signal = 0
	g.pending--
	if familyOf(result) == familySuccess {
		if t.command == diameter.MTData {
			g.out += uint64(t.voucher.octets)
		} else {
			g.in += uint64(t.voucher.octets)
		}
	}
	for i := range g.results {
		c := &g.results[i]
		if c.n != 0 && c.result != result && i < mostResults-1 {
			continue
		}
		if c.n == 0 {
			c.result = result
		} else if c.result != result {
			c.result = otherResult
		}
		c.n++
		return
	}
}

// AVPs of T6a (3GPP TS 29.128 section 6.4, TS 29.336 section 6.4).
const (
	tgppMSISDN             = 701
	tgppBearerIdentifier   = 1020
	tgppExternalIdentifier = 3111
	tgppNonIPData          = 4315
)

// octetsOf gives the non-IP data of a request, and on which bearer it is.
//
// hot: 0 allocs
func octetsOf(m *diameter.Message) (data, bearer []byte) {
	if m.Application != diameter.AppT6a || m.Command != diameter.MOData && m.Command != diameter.MTData {
		return nil, nil
	}
	var a diameter.AVP
	for c := diameter.Walk(m.Body()); c.Next(&a); {
		switch {
		case a.Is(tgppNonIPData, diameter.Vendor3GPP):
			data = a.Data
		case a.Is(tgppBearerIdentifier, diameter.Vendor3GPP) && len(a.Data) <= maxBearer:
			bearer = a.Data
		}
	}
	return data, bearer
}

const (
	maxBearer = 16
	maxDevice = 128 // of a longer name the front
)

// deviceOf gives who a request is about.
//
// hot: 0 allocs
func deviceOf(m *diameter.Message) []byte {
	v := m.Value(diameter.KnownUserName)
	var a, of diameter.AVP
	if v == nil && diameter.Find(m.Body(), diameter.TGPPUserIdentifier, diameter.Vendor3GPP, &a) {
		for c := a.Group(); c.Next(&of); {
			switch {
			case of.Is(diameter.UserName, 0):
				v = of.Data
			case of.Is(tgppExternalIdentifier, diameter.Vendor3GPP), of.Is(tgppMSISDN, diameter.Vendor3GPP):
				if v == nil {
					v = of.Data
				}
			}
		}
	}
	return v[:min(len(v), maxDevice)]
}

// countOut writes some of what a window has counted, once it is over.
func (lp *loop) countOut() {
	s := &lp.signals
	if s.window <= 0 || len(s.index) == 0 {
		s.began = lp.now
		return
	}
	if lp.now-s.began >= s.window {
		s.began, s.sweep = lp.now, 0
	}
	for n := 0; s.sweep < s.list.n && n < signalsAtOne; s.sweep++ {
		n += lp.writeSignal(uint32(s.sweep))
	}
}

// countLast writes everything: the agent stops.
func (lp *loop) countLast() {
	for at := range lp.signals.list.n {
		lp.signals.list.at(uint32(at)).pending = 0
		lp.writeSignal(uint32(at))
	}
}

// writeSignal makes records of what one place of the table has counted, and frees it
// where nobody waits for an answer.
func (lp *loop) writeSignal(at uint32) (n int) {
	s := &lp.signals
	g := s.list.at(at)
	if g.since == 0 {
		return 0
	}
	octets := true
	for i := range g.results {
		c := &g.results[i]
		if c.n == 0 {
			continue
		}
		r := *g
		if familyOf(c.result) != familySuccess || !octets {
			r.in, r.out = 0, 0
		} else {
			octets = false
		}
		lp.ledger.own(lp.tell(&r, c), r.spec, r.of.route, r.of.realm, lp.wall)
		n++
	}
	if g.pending > 0 {
		g.results, g.in, g.out, g.since = [mostResults]resultCount{}, 0, 0, lp.wall
		return n
	}
	delete(s.index, g.key)
	*g = signal{}
	s.free = append(s.free, at)
	return n
}

// tell makes the message of a record.
func (lp *loop) tell(g *signal, c *resultCount) []byte {
	const m = diameter.AVPMandatory
	s := &lp.signals
	if s.room == nil {
		s.room = make([]byte, 4096)
	}
	w := &s.w
	s.serial++
	id := append(make([]byte, 0, 160), lp.conf.Identity...)
	id = strconv.AppendInt(append(id, ";signalling;"...), lp.wall, 10)
	id = strconv.AppendUint(append(id, ';'), uint64(s.serial), 10)
	w.Begin(s.room, &diameter.Header{Flags: diameter.FlagRequest | diameter.FlagProxiable, Command: diameter.Accounting, Application: diameter.AppAccounting})
	w.Bytes(diameter.SessionID, 0, m, id)
	w.String(diameter.OriginHost, 0, m, lp.conf.Identity)
	w.String(diameter.OriginRealm, 0, m, lp.conf.Realm)
	w.String(diameter.DestinationRealm, 0, m, g.of.realm)
	w.Uint32(diameter.AccountingRecordType, 0, m, 1)
	w.Uint32(diameter.AccountingRecordNumber, 0, m, 0)
	w.Uint32(diameter.AcctApplicationID, 0, m, diameter.AppAccounting)
	device := g.of.device
	if device == "" {
		device = "unattributed@" + g.of.realm
	} else if digits([]byte(device)) {
		k := w.Group(443, 0, m)
		w.Uint32(450, 0, m, 1)
		w.String(444, 0, m, device)
		w.End(k)
	}
	w.String(diameter.UserName, 0, m, device)
	w.Uint32(diameter.EventTimestamp, 0, m, uint32(lp.wall/1e9+ntpEpoch))
	w.Uint32(46, 0, m, uint32(max(lp.wall-g.since, 0)/1e9)) // Acct-Session-Time
	name := &commandNames[g.of.command]
	octets, messages, n := uint32(363), uint32(365), g.in
	if name.cmd == diameter.MTData {
		octets, messages, n = 364, 366, g.out
	}
	if name.cmd == diameter.MTData || name.cmd == diameter.MOData {
		w.Uint64(octets, 0, m, n)
	}
	w.Uint64(messages, 0, m, c.n)
	about := name.application + "/" + name.command + "/"
	switch c.result {
	case 0:
		about += "none"
	case otherResult:
		about += "other"
	default:
		about += strconv.FormatUint(uint64(c.result), 10)
	}
	w.String(461, 0, m, about+"@"+lp.conf.Identity) // Service-Context-Id
	if g.of.bearer != "" {
		w.String(diameter.AcctMultiSessionID, 0, m, "bearer "+hex.EncodeToString([]byte(g.of.bearer)))
	}
	return w.Finish()
}

const ntpEpoch = 2208988800

// own records a message of our own making.
func (l *ledger) own(raw []byte, client *realm.Client, route, asked string, wall int64) {
	if raw == nil || l.spool == nil {
		return
	}
	accounting.Classify(&l.event, raw, wall)
	l.header = accounting.Header{
		Time: wall, Client: client.Name, Operator: client.Operator, Country: client.Country, Route: route, Realm: asked,
	}
	l.header.SetEvent(&l.event)
	visited := client.Operator
	if visited == "" {
		visited = client.Name
	}
	l.header.Key = l.hasher.Key(&l.event, visited)
	l.buf = accounting.AppendRecord(l.buf[:0], &l.header, raw)
	l.gather().Add(ownRecord, l.buf, false)
	l.stats.Add(l.ctr.records[l.header.Kind], 1)
}
