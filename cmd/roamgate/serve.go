package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/roamgate/roamgate/aaa"
	"github.com/roamgate/roamgate/aaa/agent"
	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/aaa/gateway"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/clearing"
	"github.com/roamgate/roamgate/accounting/queue"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
	"github.com/roamgate/roamgate/realm/history"
)

func serveCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Carry traffic until interrupted",
		Long: `Carry traffic until SIGTERM or SIGINT. SIGHUP reads the routing files again at
once; they are also read again whenever their content changes. A configuration
with mistakes is refused as a whole and the running one stays.`,
		Example: "  roamgate serve --config /etc/roamgate/roamgate.yaml",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return serve(ctx, path)
		},
	}
	configFlag(c, &path)
	return c
}

func configFlag(c *cobra.Command, path *string) {
	c.Flags().StringVarP(path, "config", "c", "roamgate.yaml", "main configuration `file`")
}

// server is the running process: every room and how to close it.
type server struct {
	conf     *config
	log      *zap.Logger
	stats    *stat.Registry
	started  time.Time
	spool    *spool.Spool
	events   *accounting.Events
	identity []byte // keys the hashes of identities
	boot     uint32 // number of this start, for Diameter
	policy   *device.Table
	queue    *queue.Drainer
	clearing *clearing.Store // nil where the records leave by a queue
	closers  []func()        // in the order of opening
	watch    *file.Watcher
	control  *history.Control // which version of the routing files is in use
	planning sync.Mutex       // one plan at a time
	hub      *aaa.Hub
	agent    *agent.Agent     // nil: no Diameter is spoken
	gateway  *gateway.Gateway // between both, nil: the same
	admin    net.Listener
	notify   *notifier
	hup      chan os.Signal

	certificates certificates

	tasks sync.WaitGroup
	fail  chan error
}

// serve runs the hub until ctx ends. What was opened is closed in the
// opposite order: packets first, the spool last.
func serve(ctx context.Context, path string) error {
	defer secondSlot(os.Getenv)()
	// First of all: while nobody listens, the signal ends the process.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	var begin *history.Beginning
	l, ps := loadWith(path, func(c *config) (_ *realm.Set, ps file.Problems) {
		begin, ps = c.begin(time.Now())
		return begin.Set, ps
	})
	if l == nil {
		return refused(ps)
	}
	l.begin = begin
	log, err := newLogger(l.conf)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }()
	s := &server{
		conf: l.conf, log: log, stats: stat.NewRegistry(), started: time.Now(), fail: make(chan error, 8),
		notify: newNotifier(os.Getenv), hup: hup,
	}
	defer s.notify.close()
	s.problems("configuration", ps)
	if begin.Why != "" {
		log.Warn("the routing files are not used as they are", zap.String("why", begin.Why))
	}
	if err := s.open(ctx, l); err != nil {
		s.close()
		return &exitError{exitProblem, err.Error()}
	}
	return s.run(ctx)
}

// secondSlot has Go run on two threads where there is one processor, unless somebody
// has said how many, and gives what undoes it. An event loop sleeps in a system call
// and keeps its slot until the scheduler's monitor takes it away: where that is the
// only slot the monitor looks all the time, which took a fifth of the processor at a
// moderate load.
func secondSlot(getenv func(string) string) (undo func()) {
	if getenv("GOMAXPROCS") != "" || runtime.GOMAXPROCS(0) > 1 {
		return func() {}
	}
	runtime.GOMAXPROCS(2)
	return runtime.SetDefaultGOMAXPROCS
}

// close closes what is open, the spool last.
func (s *server) close() {
	for _, c := range slices.Backward(s.closers) {
		c()
	}
	s.closers = nil
}

func newLogger(c *config) (*zap.Logger, error) {
	zc := zap.NewProductionConfig()
	if c.Log.Format == "console" {
		zc = zap.NewDevelopmentConfig()
	}
	zc.DisableStacktrace = true
	zc.Sampling = nil // the hub limits its own lines, by reason
	zc.DisableCaller = true
	zc.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	level, err := zapcore.ParseLevel(c.Log.Level)
	if err != nil {
		return nil, fmt.Errorf("reading log.level: %w", err)
	}
	zc.Level = zap.NewAtomicLevelAt(level)
	log, err := zc.Build()
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	return log, nil
}

// run starts every task and waits for ctx or for the first failure.
func (s *server) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	background, stop := context.WithCancel(context.Background())
	defer stop()

	var hub sync.WaitGroup
	s.start(background, "policy", s.policy.Run)
	s.awaitPolicy(ctx)
	hub.Go(func() { s.task("hub", s.hub.Run(ctx)) })
	if s.agent != nil {
		hub.Go(func() { s.task("diameter", s.agent.Run(ctx)) })
		s.start(background, "gateway", func(ctx context.Context) error { return s.gateway.Run(ctx, s.hub) })
	}
	s.start(background, "history", s.keepTime)
	s.start(background, "queue", s.drain)
	if s.clearing != nil {
		s.start(background, "clearing", func(ctx context.Context) error { sweep(ctx, s.clearing, s.log); return nil })
	}
	s.start(background, "routing files", func(ctx context.Context) error { s.watch.Run(ctx); return nil })
	s.start(background, "revocation lists", func(ctx context.Context) error { s.certificates.lists.Run(ctx); return nil })
	s.start(background, "certificates", s.watchCertificates)
	s.start(background, "administration", s.serveAdmin)
	s.start(background, "reload signal", s.reloadOnSignal)
	s.start(background, "watchdog", func(ctx context.Context) error {
		s.notify.guard(ctx, func() { s.status() })
		return nil
	})
	s.log.Info("ready", zap.Any("listen", s.fronts()), zap.Stringer("admin", s.conf.Admin.Listen),
		zap.String("version", versionText()), zap.Uint64("generation", s.hub.Snapshot().Generation))
	s.notify.ready("carrying traffic")
	s.start(background, "memory", func(context.Context) error {
		if s.agent != nil {
			s.agent.Peers() // it has taken the files over when it tells of them
		}
		giveBack()
		return nil
	})

	var err error
	select {
	case <-ctx.Done():
		s.log.Info("stopping")
	case err = <-s.fail:
		s.log.Error("stopping after a failure", zap.Error(err))
		err = &exitError{exitProblem, err.Error()}
	}
	s.notify.stopping()
	cancel()
	hub.Wait()
	stop()
	s.tasks.Wait()
	if cerr := s.spool.Close(); cerr != nil && err == nil {
		err = problem("closing the spool: %v", cerr)
	}
	s.close()
	return err
}

func (s *server) start(ctx context.Context, name string, run func(context.Context) error) {
	s.tasks.Go(func() { s.task(name, run(ctx)) })
}

func (s *server) task(name string, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		select {
		case s.fail <- fmt.Errorf("%s: %w", name, err):
		default:
		}
	}
}

// drain carries records to the queue. A spool that cannot be written or read
// any more ends it, not the hub: authentication goes on, and a spool that has
// failed acknowledges nothing, by which the hub is not ready.
func (s *server) drain(ctx context.Context) error {
	err := s.queue.Run(ctx)
	if errors.Is(err, spool.ErrFailed) || errors.Is(err, spool.ErrDamaged) {
		s.log.Error("records stay in the spool until the hub is started again", zap.Error(err))
		return nil
	}
	return err
}

const (
	policyPatience = 2 * time.Second
	policyLook     = 10 * time.Millisecond
)

// awaitPolicy lets the first packets find the policy there. A store that is
// away keeps the hub from nothing: its realms say what to do without.
func (s *server) awaitPolicy(ctx context.Context) {
	if s.conf.Redis.Address == "" {
		return
	}
	ctx, stop := context.WithTimeout(ctx, policyPatience)
	defer stop()
	look := time.NewTicker(policyLook)
	defer look.Stop()
	for !s.policy.Ready() {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

func (s *server) reloadOnSignal(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.hup:
			s.notify.reloading() // until reported hears of it
			s.control.Release()
			s.watch.Reload()
		}
	}
}

// problems writes a file's problems to the log.
func (s *server) problems(what string, ps file.Problems) {
	for _, p := range ps {
		write := s.log.Info
		switch p.Severity {
		case file.Warning:
			write = s.log.Warn
		case file.Error:
			write = s.log.Error
		}
		write(what, zap.String("problem", p.String()))
	}
}

func (s *server) fronts() []string {
	var fs []string
	for _, a := range s.hub.Fronts() {
		fs = append(fs, a.Service.String()+" "+a.Addr.String())
	}
	if s.agent != nil {
		for _, a := range s.agent.Addrs() {
			fs = append(fs, "diameter "+a.Transport.String()+" "+a.Addr.String())
		}
	}
	return fs
}

// version is set by the linker, as the Makefile does.
var version string

// versionText is the version of the release, of the module, or of the commit
// built from.
func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}

const readHeaderTimeout = 5 * time.Second
