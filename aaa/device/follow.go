package device

import (
	"context"
	"time"

	"go.uber.org/zap"
)

const (
	followBlock   = time.Second // longest wait in one XREAD
	followBatch   = 512
	followBackoff = 200 * time.Millisecond
	followSlowest = 2 * time.Second
)

// follower keeps the table at the end of the change stream.
type follower struct {
	t  *Table
	st *Store
	at StreamID // the last entry applied
	on bool     // connected once: at is good
}

// follow reads the change stream until ctx ends, from where it was after each
// break.
func (t *Table) follow(ctx context.Context) {
	st := newStore(t.cfg.Redis, 2, t.hash)
	// A blocked XREAD does not see ctx; closing its connection ends it.
	stop := context.AfterFunc(ctx, func() { _ = st.Close() })
	defer func() {
		if stop() {
			_ = st.Close()
		}
	}()
	f := &follower{t: t, st: st}
	for wait := followBackoff; ; wait = min(2*wait, followSlowest) {
		began := f.t.stats.changes.Load()
		err := f.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if t.stats.redisUp.Swap(false) {
			t.cfg.Logger.Warn("change stream is broken", zap.Stringer("reason", faultOf(err)))
			wait = followBackoff
		}
		if t.stats.changes.Load() != began {
			wait = followBackoff
		}
		t.stats.fault(faultOf(err))
		if !sleep(ctx, wait) {
			return
		}
	}
}

// once connects and follows until something breaks.
func (f *follower) once(ctx context.Context) error {
	if err := f.resume(ctx); err != nil {
		return err
	}
	if err := f.profiles(ctx); err != nil {
		return err
	}
	f.t.stats.redisUp.Store(true)
	for {
		select {
		case <-f.t.reload:
			if err := f.profiles(ctx); err != nil {
				return err
			}
		default:
		}
		list, err := f.st.changes(ctx, f.at, followBlock, followBatch)
		if err != nil {
			return err
		}
		// A full batch says that we are behind; the stream may have been
		// trimmed past us before this read.
		if len(list) == followBatch {
			if err := f.checkGap(ctx); err != nil {
				return err
			}
		}
		for i := range list {
			f.t.change(&list[i])
			f.at = list[i].ID
		}
		if n := len(list); n > 0 {
			f.t.stats.changeLag.Store(time.Now().UnixMilli() - int64(list[n-1].ID.Milliseconds))
		}
	}
}

// resume finds the place to go on from. What a store forgot or a failover lost
// cannot be replayed, so every break puts the cache in doubt: entries are
// served and confirmed one by one as they are used.
func (f *follower) resume(ctx context.Context) error {
	first, last, err := f.st.bounds(ctx)
	if err != nil {
		return err
	}
	if !f.on {
		f.at, f.on = last, true
		f.t.epoch.Add(1) // what was read before may have changed before last
		return nil
	}
	f.t.stats.reconnects.Add(1)
	f.t.raiseEpoch("reconnect")
	switch {
	case f.at.Less(first):
		f.t.stats.fault(FaultGap)
		f.at = last
	case last.Less(f.at):
		f.t.stats.fault(FaultGap)
		f.at = last
	}
	return nil
}

func (f *follower) checkGap(ctx context.Context) error {
	first, _, err := f.st.bounds(ctx)
	if err == nil && f.at.Less(first) {
		f.t.stats.fault(FaultGap)
		f.t.raiseEpoch("gap")
		return f.profiles(ctx)
	}
	return err
}

// profiles replaces all profiles by the store's. One that cannot be read keeps
// what it was.
func (f *follower) profiles(ctx context.Context) error {
	raw, err := f.st.rawProfiles(ctx)
	if err != nil {
		return err
	}
	t := f.t
	old := t.state.Load().profiles
	m := make(map[string]*Profile, len(raw))
	for name, v := range raw {
		_, p, why, ok := decodeProfile([]byte(v), name)
		if !ok {
			t.stats.fault(why)
			t.cfg.Logger.Warn("profile cannot be used", zap.Stringer("reason", why))
			if n, known := old.number[name]; known {
				p = old.at(n)
			}
		}
		m[name] = p
	}
	t.setProfiles(m, true)
	t.ready.Store(true)
	return nil
}

func (t *Table) raiseEpoch(why string) {
	t.epoch.Add(1)
	t.stats.epochs.Add(1)
	t.cfg.Logger.Info("policy cache is in doubt", zap.String("reason", why))
}

// change applies one entry of the change stream. Entries are in the order of
// the transactions that wrote them, so the last one is the truth.
func (t *Table) change(c *Change) {
	t.stats.changes.Add(1)
	switch c.Op {
	case OpProfile:
		_, p, why, ok := decodeProfile([]byte(c.Value), c.Name)
		if !ok {
			t.stats.fault(why)
			return
		}
		t.setProfiles(map[string]*Profile{c.Name: p}, false)
	case OpProfileDelete:
		if _, known := t.state.Load().profiles.number[c.Name]; known {
			t.setProfiles(map[string]*Profile{c.Name: nil}, false)
		}
	case OpDevice, OpDeviceDelete:
		t.changeDevice(c)
	default:
		t.stats.fault(FaultMalformed)
	}
}

func (t *Table) changeDevice(c *Change) {
	k, ok := t.hash.keyOf(c.Name)
	if !ok {
		t.stats.fault(FaultMalformed)
		return
	}
	r := result{absence: absentUnknown}
	if c.Op == OpDevice {
		var why Fault
		if r.value, why, r.found = decodeValue(c.Value, c.Name); !r.found {
			t.stats.fault(why)
			return
		}
	}
	k0, k1 := k.words()
	t.apply.Lock()
	defer t.apply.Unlock()
	t.absent.remove(k0, k1)
	t.flights.mu.Lock()
	fl := t.flights.byKey[k]
	t.flights.mu.Unlock()
	if fl != nil {
		fl.settled = true
		t.store(k, r, fl.now, t.epoch.Load())
		return
	}
	d := t.state.Load().devices
	if !r.found {
		d.remove(k0, k1)
		return
	}
	if _, _, _, known := d.find(k0, k1); !known {
		return
	}
	if n, ok := t.profileNumber(r.value.profile); ok {
		d.update(k0, k1, n, r.value.flags, r.value.version, t.epoch.Load())
	}
}
