package history

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
)

// Cause says why a version was left again. The set is closed.
type Cause uint8

const (
	ByCommand     Cause = iota // an operator went back
	NotConfirmed               // nobody confirmed in time
	FewerAccepted              // the guard saw the share of accepted requests fall
	Causes
)

// String gives the label of counters.
func (c Cause) String() string { return [...]string{"command", "unconfirmed", "accepts"}[c] }

// State is what a Control shows.
type State struct {
	Manual  bool
	Hash    Hash // in use
	Disk    Hash // of the files as they were last found good
	Waiting bool // Disk is not in use, or with older secrets
	Held    bool // and will not be before the files change: it was left
	Trial   Trial
	Back    [Causes]uint64 // versions left since the start
	Why     string         // of the last that was left by the hub itself
	Failed  string         // the history could not be written: what it says is old
}

// Trial is a version that may be left again by itself.
type Trial struct {
	Since   time.Time
	Until   time.Time // zero: it needs no confirmation
	Base    Hash      // where it is left for
	Guard   int       // percent, 0: no guard
	Watched time.Time // the guard ends
}

// On reports whether there is one.
func (t *Trial) On() bool { return !t.Base.IsZero() }

// Options are what a Control works with.
type Options struct {
	Store   *Store
	History string // directory of the Store
	Dir     string // of the routing files
	Env     func(string) (string, bool)
	Manual  bool
	// Use hands a Set to the hub, with what is written about it.
	Use func(*realm.Set, *Entry) error
	// Tally counts answers; nil: there are no guards.
	Tally func() Tally
	// Left hears of versions that the hub left by itself, and of entries that
	// could not be written.
	Left func(why string, err error)
}

// Control decides which version is in use.
type Control struct {
	opt   Options
	state atomic.Pointer[State]

	orders  sync.Mutex // held from reading the files to taking them
	mu      sync.Mutex // guards what follows, and the Store
	running atomic.Pointer[realm.Set]
	base    *realm.Set // of the Trial, in case it cannot be loaded any more
	guard   *guard
	before  before
	waits   bool  // a Watcher's version was not taken
	now     State // what state shows next
}

// State may be called at any time and waits for nobody.
func (c *Control) State() State { return *c.state.Load() }

// Running is the Set in use.
func (c *Control) Running() *realm.Set { return c.running.Load() }

// Log is what the history tells.
func (c *Control) Log() Log {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opt.Store.Log()
}

func (c *Control) publish() {
	c.now.Waiting = c.waits || !c.now.Disk.IsZero() && c.now.Disk != c.now.Hash
	c.now.Held = c.now.Held && c.now.Waiting
	s := c.now
	c.state.Store(&s)
}

// Found takes what a Watcher has found.
func (c *Control) Found(set *realm.Set, change file.Change, files file.Texts, now time.Time) (taken bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.publish()
	held := c.now.Held && c.now.Disk == Hash(set.Hash)
	c.now.Disk, c.now.Held = Hash(set.Hash), held
	if c.now.Hash == c.now.Disk && file.Diff(c.Running(), set).Empty() {
		c.waits = false // a command was faster
		return true, nil
	}
	if c.waits = c.now.Manual || held; c.waits {
		return false, nil
	}
	e := Entry{Time: now, How: Auto, Change: change.String()}
	if c.now.Trial.On() { // still nobody has confirmed
		e.Until, e.Base, e.Guard = c.now.Trial.Until, c.now.Trial.Base, c.now.Trial.Guard
	}
	return true, c.take(set, files, e)
}

// Looked hears how a Watcher's attempt ended.
func (c *Control) Looked(st file.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if st.Result == file.Unchanged {
		// What was in use then may have been left since.
		c.now.Disk, c.waits = st.Hash, false
	}
	c.publish()
}

// Release lets files be taken again that were left: somebody asks for it.
func (c *Control) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Held = false
	c.publish()
}

// take brings a version into use. What is on trial is on disk before; what
// nobody has to confirm and cannot be written is used all the same.
func (c *Control) take(set *realm.Set, files file.Texts, e Entry) error {
	e.Hash, e.Left = Hash(set.Hash), c.now.Hash
	written, err := c.write(files, e)
	c.now.Failed = ""
	if err != nil {
		if e.onTrial() || e.How == Applied {
			return err
		}
		c.now.Failed = err.Error()
		c.report("", err)
	}
	if err := c.opt.Use(set, &e); err != nil {
		if written {
			err = errors.Join(err, c.opt.Store.Undo())
		}
		return err
	}
	c.running.Store(set)
	c.now.Hash = e.Hash
	return nil
}

func (c *Control) write(files file.Texts, e Entry) (bool, error) {
	if files != nil {
		if err := c.opt.Store.Keep(files); err != nil {
			return false, err
		}
	}
	_, err := c.opt.Store.Append(e)
	return err == nil, err
}

func (c *Control) report(why string, err error) {
	if c.opt.Left != nil {
		c.opt.Left(why, err)
	}
}

// Order asks for the files to be taken into use.
type Order struct {
	Who     string
	Comment string
	Confirm time.Duration // 0: for good
	Guard   int           // percent, 0: none
	Expect  string        // the files' hash begins with it, "": any
}

// The bounds of Order.Confirm.
const (
	MinConfirm = 10 * time.Second
	MaxConfirm = 24 * time.Hour
)

// What became of a command.
const (
	Taken     = "applied"
	Same      = "unchanged"
	Kept      = "confirmed"
	Postponed = "postponed" // the deadline
	Gone      = "rolled_back"
	Refused   = "refused"
)

// Outcome is the answer to a command.
type Outcome struct {
	Result   string        `json:"result"`
	Hash     Hash          `json:"hash"`
	Left     Hash          `json:"left,omitzero"`
	Until    time.Time     `json:"until,omitzero"`
	Base     Hash          `json:"base,omitzero"`
	Change   string        `json:"change,omitempty"`
	Problems file.Problems `json:"-"` // of the files
}

func (c *Control) outcome(result string) Outcome {
	return Outcome{Result: result, Hash: c.now.Hash, Until: c.now.Trial.Until, Base: c.now.Trial.Base}
}

// Apply takes the files into use, or confirms what of them is on trial.
func (c *Control) Apply(ctx context.Context, o Order, now time.Time) (Outcome, error) {
	if err := o.check(); err != nil {
		return Outcome{}, err
	}
	// The files that were read last are to be taken last.
	c.orders.Lock()
	defer c.orders.Unlock()
	files, ps := file.ReadSteady(ctx, c.opt.Dir)
	if ps.Failed() {
		return Outcome{Result: Refused, Problems: ps}, nil
	}
	if h := hashOf(files); o.Expect != "" && !hasPrefix(h, o.Expect) {
		return Outcome{}, fmt.Errorf("the files are %s now, not %s: plan again", h, printable(o.Expect, maxWho))
	}
	set, ps := files.Load(c.opt.Dir, c.opt.Env)
	if set == nil {
		return Outcome{Result: Refused, Problems: ps}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.publish()
	change := file.Diff(c.Running(), set)
	if c.now.Hash == Hash(set.Hash) && change.Empty() {
		c.now.Disk, c.waits = c.now.Hash, false
		out, err := c.again(o, now)
		out.Problems = ps
		return out, err
	}
	if c.lastGood() == Hash(set.Hash) && (o.Confirm > 0 || o.Guard > 0) {
		return Outcome{}, errNoWayBack
	}
	e := Entry{Time: now, How: Applied, Who: o.Who, Comment: o.Comment, Change: change.String(), Guard: o.Guard}
	if err := c.trial(&e, o, c.lastGood(), now); err != nil {
		return Outcome{}, err
	}
	base, left, g := c.baseSet(), c.now.Hash, c.newGuard(o, now)
	if err := c.take(set, files, e); err != nil {
		return Outcome{}, err
	}
	c.now.Disk, c.waits = c.now.Hash, false
	c.begin(e, base, g, now)
	out := c.outcome(Taken)
	out.Left, out.Change, out.Problems = left, change.String(), ps
	return out, nil
}

// again is an Apply of what is in use already.
func (c *Control) again(o Order, now time.Time) (Outcome, error) {
	if o.Confirm == 0 && o.Guard == 0 {
		if c.now.Trial.On() {
			return c.confirm(o.Who, o.Comment, now)
		}
		return c.outcome(Same), nil
	}
	base, kept := c.now.Trial.Base, c.base
	if last := c.opt.Store.Last(); base.IsZero() && last != nil && last.How == Auto && last.Hash == c.now.Hash && last.Left != last.Hash {
		base = last.Left // the Watcher was faster than the operator
		set, ps, err := c.load(base)
		if err == nil {
			err = ps.Err()
		}
		if err != nil {
			return Outcome{}, fmt.Errorf("there is no way back: %w", err)
		}
		kept = set
	}
	if base.IsZero() {
		return Outcome{}, errors.New("the files are in use already: there is nothing to confirm")
	}
	e := Entry{Time: now, How: Applied, Who: o.Who, Comment: o.Comment, Hash: c.now.Hash, Guard: o.Guard}
	if err := c.trial(&e, o, base, now); err != nil {
		return Outcome{}, err
	}
	if _, err := c.opt.Store.Append(e); err != nil {
		return Outcome{}, err
	}
	result := Postponed
	if !c.now.Trial.On() {
		result = Taken
	}
	c.begin(e, kept, c.newGuard(o, now), now)
	return c.outcome(result), nil
}

func (o *Order) check() error {
	switch {
	case o.Confirm != 0 && (o.Confirm < MinConfirm || o.Confirm > MaxConfirm):
		return fmt.Errorf("the time for a confirmation is from %s to %s", MinConfirm, MaxConfirm)
	case o.Guard < 0 || o.Guard > 100:
		return errors.New("a guard is a percentage from 1 to 100")
	}
	return nil
}

// errNoWayBack refuses a trial that could only end where it began: the history
// has no secrets.
var errNoWayBack = errors.New("only secrets have changed, which the history does not keep: there is nothing to go back to, apply them without a trial")

// lastGood is where a trial is left for.
func (c *Control) lastGood() Hash {
	if c.now.Trial.On() {
		return c.now.Trial.Base
	}
	return c.now.Hash
}

func (c *Control) baseSet() *realm.Set {
	if c.now.Trial.On() {
		return c.base
	}
	return c.Running()
}

// trial writes into an entry what would end it.
func (c *Control) trial(e *Entry, o Order, base Hash, now time.Time) error {
	if o.Confirm > 0 {
		e.Until, e.Base = now.Add(o.Confirm), base
	}
	if o.Guard == 0 {
		return nil
	}
	if c.opt.Tally == nil {
		return errors.New("this hub counts no answers: it has no guards")
	}
	if n := c.before.window(c.opt.Tally()).answers(); n < fewest {
		return fmt.Errorf("the guard has nothing to hold the change against: %d requests were answered in the last minutes, %d are needed", n, fewest)
	}
	e.Base = base
	return nil
}

func (c *Control) newGuard(o Order, now time.Time) *guard {
	if o.Guard == 0 {
		return nil
	}
	at := c.opt.Tally()
	g := &guard{percent: o.Guard, before: c.before.window(at), from: at, until: now.Add(GuardTime)}
	if o.Confirm > 0 {
		g.until = now.Add(o.Confirm)
	}
	return g
}

// begin shows the trial of an entry, or that there is none.
func (c *Control) begin(e Entry, base *realm.Set, g *guard, now time.Time) {
	c.now.Trial, c.base, c.guard = Trial{}, nil, nil
	if e.Base.IsZero() {
		return
	}
	c.now.Trial = Trial{Since: now, Until: e.Until, Base: e.Base}
	c.base, c.guard = base, g
	if g != nil {
		c.now.Trial.Guard, c.now.Trial.Watched = g.percent, g.until
	}
}

func (c *Control) endTrial() { c.now.Trial, c.base, c.guard = Trial{}, nil, nil }

// Confirm ends the trial: what is in use stays.
func (c *Control) Confirm(who, comment string, now time.Time) (Outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.publish()
	if !c.now.Trial.On() {
		return Outcome{}, errors.New("nothing waits for a confirmation")
	}
	return c.confirm(who, comment, now)
}

func (c *Control) confirm(who, comment string, now time.Time) (Outcome, error) {
	e := Entry{Time: now, How: Confirmed, Hash: c.now.Hash, Who: who, Comment: comment}
	if _, err := c.opt.Store.Append(e); err != nil {
		return Outcome{}, err // else it would be left after a restart
	}
	c.endTrial()
	return c.outcome(Kept), nil
}

// Rollback takes a version of the history into use, named as Log.Find reads
// it, with the secrets of the day. The files stay as they are.
func (c *Control) Rollback(name, who, comment string, now time.Time) (Outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.publish()
	log := c.opt.Store.Log()
	h, err := log.Find(name)
	if err != nil {
		return Outcome{}, err
	}
	set, ps, err := c.load(h)
	if err != nil || set == nil {
		return Outcome{Result: Refused, Problems: ps}, err
	}
	left, change := c.now.Hash, file.Diff(c.Running(), set)
	e := Entry{Time: now, How: RolledBack, Who: who, Comment: comment, Change: change.String()}
	if err := c.take(set, nil, e); err != nil {
		return Outcome{}, err
	}
	c.leave(ByCommand)
	c.waits = false
	out := c.outcome(Gone)
	out.Left, out.Change, out.Problems = left, change.String(), ps
	return out, nil
}

// leave counts a version that was left, which a Watcher must not find again.
func (c *Control) leave(why Cause) {
	c.endTrial()
	c.now.Back[why]++
	c.now.Held = true
}

func (c *Control) load(h Hash) (*realm.Set, file.Problems, error) {
	files, err := c.opt.Store.Version(h)
	if err != nil {
		return nil, nil, err
	}
	set, ps := files.Load(c.opt.Dir, c.opt.Env)
	return set, ps, nil
}

// Tick does what is due: it is called about once a second.
func (c *Control) Tick(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opt.Tally != nil {
		c.before.look(now, c.opt.Tally)
	}
	t := &c.now.Trial
	if !t.On() {
		return
	}
	defer c.publish()
	if c.guard != nil {
		if fell, why := c.guard.judge(c.opt.Tally()); fell {
			c.fallBack(Guarded, FewerAccepted, why, now)
			return
		}
		if !now.Before(c.guard.until) {
			c.guard, t.Guard, t.Watched = nil, 0, time.Time{}
		}
	}
	switch {
	case !t.Until.IsZero() && !now.Before(t.Until):
		c.fallBack(Unconfirmed, NotConfirmed, "nobody confirmed it until "+t.Until.UTC().Format(time.RFC3339), now)
	case t.Until.IsZero() && c.guard == nil:
		c.endTrial()
	}
}

// fallBack leaves what is on trial. Where its files cannot be loaded any more
// the version before is used as it was in memory.
func (c *Control) fallBack(how How, cause Cause, why string, now time.Time) {
	set, ps, err := c.load(c.now.Trial.Base)
	if set == nil && err == nil {
		err = ps.Err()
	}
	if set == nil {
		set = c.base
	}
	if set == nil {
		c.now.Failed = err.Error()
		c.report("", err)
		c.endTrial()
		return
	}
	left := c.now.Hash
	e := Entry{Time: now, How: how, Why: why, Change: file.Diff(c.Running(), set).String()}
	if err := c.take(set, nil, e); err != nil {
		c.now.Failed = err.Error()
		c.report("", err)
		return // and tried again at the next Tick
	}
	c.leave(cause)
	c.now.Why = why
	c.report(fmt.Sprintf("version %s was left for %s: %s", left, c.now.Hash, why), err)
}
