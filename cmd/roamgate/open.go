package main

import (
	"context"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa"
	"github.com/roamgate/roamgate/aaa/agent"
	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/aaa/gateway"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/queue"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
)

const (
	// Repetitions of a record come within hours; what is older the clearing
	// side finds by the record's key.
	eventWindow = 72 * time.Hour
	eventsKept  = 1 << 20
)

// open opens every room, the front doors last: a hub that cannot record must
// not take packets. What is open when it fails is in s.closers.
func (s *server) open(ctx context.Context, l *loaded) (err error) {
	c, set := s.conf, l.set
	if err := c.vacant(); err != nil {
		return err
	}
	if s.admin, err = c.listenAdmin(ctx); err != nil {
		return err
	}
	s.closers = append(s.closers, func() { _ = s.admin.Close() })
	key, err := c.identityKey(true)
	if err != nil {
		return spoolProblem(c.path(c.Spool.Directory), err, "")
	}
	s.events = accounting.NewEvents(eventsKept, eventWindow)
	s.identity = key
	s.spool, err = spool.Open(c.path(c.Spool.Directory), spool.Options{
		Logger: s.log, Node: c.Queue.Node, DefaultNode: c.defaultNode(), MinFree: int64(c.Spool.MinFree), RetainTime: c.Spool.Keep, Scan: s.events.Replay,
	})
	if err != nil {
		return spoolProblem(c.path(c.Spool.Directory), err, "two hubs need a spool each")
	}
	s.closers = append(s.closers, func() { _ = s.spool.Close() }) // a second time after run: no harm
	c.Queue.Node = s.spool.Node()
	if err := s.openPolicy(l.policy); err != nil {
		return err
	}
	sink, err := s.sink(ctx, s.spool.Epoch())
	if err != nil {
		return err
	}
	trim, err := c.trim()
	if err != nil {
		return err
	}
	s.queue = queue.New(s.spool, sink, queue.Options{
		View: c.recordView(key), NewView: func() *accounting.View { return c.recordView(key) }, Logger: s.log, Trim: trim,
	})
	ticker, err := s.ticker()
	if err != nil {
		return err
	}
	s.watchLists(set)
	hub := c.hub()
	hub.Seed = nodeSeed(c.Queue.Node)
	rooms := aaa.Rooms{
		Log: s.log, Stats: s.stats, Spool: s.spool, Events: s.events, Identity: key, Policy: s.policy, FTicks: ticker,
	}
	if c.Diameter.on() {
		if s.boot, err = bootNumber(c.path(c.Spool.Directory), uint32(time.Now().Unix())); err != nil {
			s.log.Warn("the number of this start is not known to be new: Session-Ids may be used again", zap.Error(err))
		}
		if err := s.openGateway(set); err != nil {
			return err
		}
		rooms.Gateway = s.gateway
	}
	s.hub, err = aaa.New(hub, set, rooms)
	if err != nil {
		return err
	}
	if err := s.openAgent(set); err != nil {
		return err
	}
	if err := s.openHistory(l); err != nil {
		return err
	}
	s.watch = file.NewWatcher(file.Options{
		Dir: c.path(c.Routing.Directory), Interval: c.Routing.Poll, Env: os.LookupEnv,
		Current: set, Running: s.control.Running, Found: s.found, Report: s.reported,
	})
	s.series()
	s.certificateSeries(set)
	return nil
}

// openGateway makes what stands between the two walks.
func (s *server) openGateway(set *realm.Set) (err error) {
	c := s.conf.agent()
	s.gateway, err = gateway.New(gateway.Config{Identity: c.Identity, Realm: c.Realm, Boot: s.boot},
		gateway.Rooms{Log: s.log, Stats: s.stats, Key: s.identity, Able: func(ctx context.Context) bool { return s.agent.Able(ctx) }})
	if err != nil {
		return err
	}
	s.gateway.Apply(set)
	return nil
}

// openAgent opens the doors for Diameter peers, and joins the walks.
func (s *server) openAgent(set *realm.Set) (err error) {
	if !s.conf.Diameter.on() {
		return nil
	}
	conf := s.conf.agent()
	conf.StateID = s.boot
	s.agent, err = agent.New(conf, set, agent.Rooms{
		Log: s.log, Stats: s.stats, Spool: s.spool, Events: s.events, Owed: s.hub, Identity: s.identity, Policy: s.policy,
	})
	if err != nil {
		return err
	}
	s.hub.CarryBy(s.agent)
	s.agent.Inside(s.gateway.Wire())
	return nil
}

func (s *server) openPolicy(f *device.File) error {
	c := s.conf
	store, err := c.policyStore()
	if err != nil {
		return err
	}
	s.policy = device.New(device.Config{Redis: store, File: f, MissBudget: c.Policy.Budget, Logger: s.log})
	return nil
}

// nodeSeed is the same after a restart and another for another node, so that
// two hubs in a row do not send everything to the same home.
func nodeSeed(node string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(node) {
		h = (h ^ uint64(node[i])) * 1099511628211
	}
	return h
}

// reported hears of every attempt to take new routing files.
func (s *server) reported(st file.Status, ps file.Problems) {
	s.problems("routing files", ps)
	s.control.Looked(st)
	text := "carrying traffic"
	switch st.Result {
	case file.Failed:
		s.log.Error("routing files refused, the running configuration stays", zap.Int("mistakes", st.Errors))
		text = "carrying traffic by older routing files, the newest were refused"
	case file.Held:
		s.log.Info("routing files wait, the running configuration stays", zap.Stringer("files", s.control.State().Disk))
		text = "carrying traffic by older routing files, the newest wait"
	}
	s.notify.ready(text)
}

// series exports what the rooms count themselves.
func (s *server) series() {
	r := s.stats
	started := float64(s.started.Unix())
	r.GaugeFunc("roamgate_start_time_seconds", "When the process began, Unix time.", func() float64 { return started })
	r.GaugeFunc("roamgate_build_info", "Always 1; the version is a label.", func() float64 { return 1 }, "version", versionText())

	r.GaugeFunc("roamgate_config_generation", "Configurations taken into use since the start.",
		func() float64 { return float64(s.hub.Snapshot().Generation) })
	r.GaugeFunc("roamgate_config_last_reload_successful", "1 unless the newest routing files were refused.", func() float64 {
		if s.watch.Status().Result == file.Failed {
			return 0
		}
		return 1
	})
	r.GaugeFunc("roamgate_config_last_reload_timestamp_seconds", "When the routing files were last taken or refused, Unix time; 0: never since the start.", func() float64 {
		if at := s.watch.Status().Attempt; !at.IsZero() {
			return float64(at.Unix())
		}
		return 0
	})
	for _, res := range []file.Result{file.Applied, file.Unchanged, file.Failed, file.Held} {
		r.CounterFunc("roamgate_config_reloads_total", "Attempts to take new routing files.",
			func() float64 { return float64(s.watch.Status().Count[res]) }, "result", res.String())
	}
	for kind, n := range map[string]func(*realm.Set) int{
		"client": func(set *realm.Set) int { return len(set.Clients) },
		"home":   func(set *realm.Set) int { return len(set.Homes) },
		"pool":   func(set *realm.Set) int { return len(set.Pools) },
		"peer":   func(set *realm.Set) int { return len(set.Peers) },
		"realm":  func(set *realm.Set) int { return len(set.Routes) },
	} {
		r.GaugeFunc("roamgate_config_objects", "Objects of the configuration in use.",
			func() float64 { return float64(n(s.hub.Snapshot().Set)) }, "kind", kind)
	}
	s.historySeries()
	s.spoolSeries()
	s.queueSeries()
	if s.clearing != nil {
		clearingSeries(r, s.clearing)
	}
	s.policySeries()
}

func (s *server) spoolSeries() {
	r := s.stats
	gauge := func(name, help string, f func(*spool.Stats) float64) {
		r.GaugeFunc(name, help, func() float64 { st := s.spool.Stats(); return f(&st) })
	}
	count := func(name, help string, f func(*spool.Stats) float64) {
		r.CounterFunc(name, help, func() float64 { st := s.spool.Stats(); return f(&st) })
	}
	gauge("roamgate_spool_records", "Records that can be read.", func(st *spool.Stats) float64 { return float64(st.Kept()) })
	gauge("roamgate_spool_bytes", "Disk the spool takes.", func(st *spool.Stats) float64 { return float64(st.DiskBytes) })
	gauge("roamgate_spool_disk_used_ratio", "Share of the spool's file system that is in use, 0 to 1.", func(st *spool.Stats) float64 { return st.DiskUsed })
	gauge("roamgate_spool_disk_level_percent", "The last of 70, 85 and 95 percent that the use of the file system has passed; 0: none.", func(st *spool.Stats) float64 { return float64(st.DiskLevel) })
	gauge("roamgate_spool_free_bytes", "Disk left beside the spool.", func(st *spool.Stats) float64 { return float64(st.FreeBytes) })
	gauge("roamgate_spool_forward_pending", "Acknowledged records that have not reached their home.", func(st *spool.Stats) float64 { return float64(st.Pending) })
	gauge("roamgate_spool_queued_records", "Records that wait for a commit.", func(st *spool.Stats) float64 { return float64(st.Queued) })
	gauge("roamgate_spool_oldest_timestamp_seconds", "Arrival of the oldest record that is kept, Unix time; 0: none.", func(st *spool.Stats) float64 {
		if st.Oldest.IsZero() {
			return 0
		}
		return float64(st.Oldest.Unix())
	})
	count("roamgate_spool_commits_total", "Synced commits; records by commits is the group size.", func(st *spool.Stats) float64 { return float64(st.Commits) })
	count("roamgate_spool_committed_records_total", "Records made durable.", func(st *spool.Stats) float64 { return float64(st.Records) })
	count("roamgate_spool_refused_records_total", "Records not taken; none of them was acknowledged.", func(st *spool.Stats) float64 { return float64(st.Refused) })
	count("roamgate_spool_commit_seconds_total", "Time spent in commits.", func(st *spool.Stats) float64 { return st.CommitTime.Seconds() })
	states := []string{}
	for st := spool.Ready; st <= spool.Closed; st++ {
		states = append(states, st.String())
	}
	r.StateSet("roamgate_spool_state", "What the spool does: in any state but ready no accounting is acknowledged.", states, func() int { return int(s.spool.State()) })
}

func (s *server) queueSeries() {
	r, st := s.stats, s.queue.Stats()
	count := func(name, help string, f func() uint64) {
		r.CounterFunc(name, help, func() float64 { return float64(f()) })
	}
	count("roamgate_queue_published_records_total", "Records the queue has confirmed.", st.Published.Load)
	count("roamgate_queue_batches_total", "Batches the queue has confirmed.", st.Batches.Load)
	count("roamgate_queue_retries_total", "Attempts that failed for a passing reason.", st.Retries.Load)
	count("roamgate_queue_rewinds_total", "Times the queue had lost its tail and was sent it again.", st.Rewinds.Load)
	count("roamgate_queue_alarms_total", "Times the queue held other content under our id: draining stands still.", st.Alarms.Load)
	count("roamgate_queue_lost_records_total", "Records the queue lost after the spool had forgotten them.", st.Lost.Load)
	r.GaugeFunc("roamgate_queue_lag_records", "Durable records the queue does not have yet.", func() float64 { return float64(s.queue.Lag()) })
	r.GaugeFunc("roamgate_queue_last_ack_timestamp_seconds", "Last confirmation of the queue, Unix time; 0: none.", func() float64 { return float64(st.LastAck.Load()) / 1e9 })
	r.GaugeFunc("roamgate_queue_up", "1 while the queue is reached.", func() float64 {
		if st.Up.Load() {
			return 1
		}
		return 0
	})
}

func (s *server) policySeries() {
	for _, series := range s.policy.Series() {
		register := s.stats.GaugeFunc
		if series.Counter {
			register = s.stats.CounterFunc
		}
		register(series.Name, series.Help, series.Value, series.Labels...)
	}
}
