package play

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roamgate/roamgate/pkg/radius"
)

// Accounting says whether devices produce accounting sessions.
type Accounting uint8

const (
	AccountingNone  Accounting = iota
	AccountingAfter            // Start, Interim-Updates and Stop after an Access-Accept
	AccountingOnly             // the same without authentication
	AccountingStop             // a Stop alone, as when clearing is all that counts
)

var accountingNames = [...]string{"none", "after", "only", "stop"}

// alone says that nothing is authenticated.
func (a Accounting) alone() bool { return a == AccountingOnly || a == AccountingStop }

// String gives the name used in flags.
func (a Accounting) String() string { return accountingNames[a] }

// ParseAccounting is the reverse of String.
func ParseAccounting(s string) (Accounting, error) {
	for i, n := range accountingNames {
		if n == s {
			return Accounting(i), nil
		}
	}
	return 0, fmt.Errorf("accounting %q: want one of %v", s, accountingNames)
}

// Mix is how devices authenticate, by weight. Zero is PAP alone.
type Mix struct{ PAP, CHAP, EAP, Status int }

// NASConfig is a visited network. Only Secret, which TLS prescribes, and the
// address of the port that the work needs must be set.
type NASConfig struct {
	Name       string // NAS-Identifier
	Auth, Acct netip.AddrPort
	Bind       netip.Addr // source address; the loopback of the family if unset
	Secret     []byte
	Stream     *Stream // nil: UDP

	// Window is the number of transactions in flight of the closed loop, 256
	// if unset. With a Rate, that many conversations begin each second
	// instead, whatever is answered: the open loop.
	Window int
	Rate   float64
	// Spin begins them to the microsecond, at instants by chance (see Arrivals), and
	// counts latencies from those instants, however late they were begun: it never
	// sleeps and takes a whole processor. Without it they begin in steps of a
	// millisecond, and latencies count from when they were begun. It is for UDP.
	Spin bool
	// Total ends after as many conversations, Duration after that time;
	// without either it goes on until Stop.
	Total    uint64
	Duration time.Duration

	Devices uint64 // taken in turns; 0 is 1
	First   uint64 // number of the first device
	Realms  []Realm
	Mix     Mix
	// Password is 12 to 16 octets in the reference packet. The share
	// WrongPassword of the devices uses another one.
	Password      string
	WrongPassword float64
	Accounting    Accounting
	Interims      int           // Interim-Updates per session
	Dwell         time.Duration // between the messages of a session

	Timeout time.Duration // until the same bytes are sent again; 1 s if unset
	Retries int           // repetitions before a request is lost

	Operator    string // Operator-Name with its namespace digit (RFC 5580)
	Called      string // Called-Station-Id
	NASPortType uint32 // 19, Wireless-802.11, if unset
	ProxyState  bool   // send a Proxy-State as a proxy would and want it back
	Unsigned    bool   // no Message-Authenticator in Access-Requests
	// AllowUnsigned takes answers to Access-Request without one.
	AllowUnsigned bool
	WantKeys      bool // MS-MPPE keys of Home.Script.Keys must arrive in an EAP Accept

	Sockets int    // or connections, per worker and port of the proxy, 256 identifiers each; 8 if unset
	Workers int    // event loops; 1 if unset
	Seed    uint64 // of authenticators and Acct-Session-Ids; the clock if unset
	// OnAnswer is called in the loop with each right answer. It must be quick
	// and keep nothing of a.
	OnAnswer func(a *Answer)
}

// Answer is a right answer, lent to NASConfig.OnAnswer.
type Answer struct {
	Kind    Kind
	Device  uint64
	Session uint64 // see SessionID
	Latency time.Duration
	Packet  *radius.Packet
}

func (c *NASConfig) complete() error {
	c.Secret = c.Stream.secret(c.Secret)
	if len(c.Secret) == 0 {
		return errors.New("NAS without a secret")
	}
	if !c.Accounting.alone() && !c.Auth.IsValid() {
		return errors.New("NAS without an authentication port to send to")
	}
	if c.Accounting != AccountingNone && !c.Acct.IsValid() {
		return errors.New("NAS without an accounting port to send to")
	}
	setDefault(&c.Name, "nas-1")
	setDefault(&c.Window, 256)
	setDefault(&c.Timeout, time.Second)
	setDefault(&c.Sockets, 8)
	setDefault(&c.Workers, 1)
	setDefault(&c.NASPortType, 19)
	setDefault(&c.Seed, uint64(time.Now().UnixNano()))
	setDefault(&c.Password, "correct-horse-1")
	setDefault(&c.Called, "00-11-22-33-44-55:roam")
	if c.Mix == (Mix{}) {
		c.Mix.PAP = 1
	}
	return nil
}

// bind is where to send from.
func (c *NASConfig) bind(target netip.AddrPort) netip.Addr {
	switch {
	case c.Bind.IsValid():
		return c.Bind
	case target.Addr().Unmap().Is4():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// NAS is a visited network in this process. Its methods are safe for
// concurrent use; Run is called once.
type NAS struct {
	config  NASConfig
	secret  *radius.Secret
	devices *devices
	mix     []uint16 // of method
	common  []byte   // attributes that every request carries
	begun   atomic.Uint64
	workers []*worker
	stopped atomic.Bool
	aborted atomic.Bool
}

// NewNAS opens the sockets; Run closes them.
func NewNAS(c NASConfig) (*NAS, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	d, err := newDevices(c.Realms, c.Devices, c.First)
	if err != nil {
		return nil, err
	}
	mix, err := cycle([]int{c.Mix.PAP, c.Mix.CHAP, c.Mix.EAP, c.Mix.Status})
	if err != nil {
		return nil, fmt.Errorf("mixing methods: %w", err)
	}
	n := &NAS{config: c, secret: radius.NewSecret(c.Secret), devices: d, mix: mix}
	n.common = n.commonAttributes()
	for i := range c.Workers {
		w, err := newWorker(n, i)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("starting NAS %s: %w", c.Name, err), n.close())
		}
		n.workers = append(n.workers, w)
	}
	return n, nil
}

// Run sends until Total, Duration or Stop, then waits for what is in flight:
// every request ends answered or lost, every session with its Stop. The end
// of ctx leaves at once. Sockets are closed when it returns.
func (n *NAS) Run(ctx context.Context) error {
	release := context.AfterFunc(ctx, func() {
		n.aborted.Store(true)
		n.wake()
	})
	defer release()
	var wait sync.WaitGroup
	for _, w := range n.workers {
		wait.Go(w.run)
	}
	wait.Wait()
	return errors.Join(n.close(), context.Cause(ctx))
}

// Stop begins no more conversations; Run returns when the last one is over.
func (n *NAS) Stop() {
	n.stopped.Store(true)
	n.wake()
}

// Snapshot gives all counts up to now.
func (n *NAS) Snapshot() NASCounts {
	var sum NASCounts
	for _, w := range n.workers {
		w.mu.Lock()
		c := w.snapshot()
		w.mu.Unlock()
		sum.Add(&c)
	}
	return sum
}

// begin gives the number of the next conversation, over all workers.
func (n *NAS) begin() (uint64, bool) {
	if n.stopped.Load() {
		return 0, false
	}
	i := n.begun.Add(1) - 1
	if n.config.Total > 0 && i >= n.config.Total {
		n.stopped.Store(true)
		return 0, false
	}
	return i, true
}

func (n *NAS) wake() {
	for _, w := range n.workers {
		w.poller.Wake()
	}
}

func (n *NAS) close() error {
	var err error
	for _, w := range n.workers {
		err = errors.Join(err, w.close())
	}
	return err
}
