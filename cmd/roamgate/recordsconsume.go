package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/roamgate/roamgate/accounting/clearing"
	"github.com/roamgate/roamgate/accounting/queue"
	"github.com/roamgate/roamgate/pkg/stat"
)

func recordsConsume() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "consume",
		Short: "Take what hubs have queued into the clearing store, until interrupted",
		Long: `Take what hubs have queued into the clearing store, until SIGTERM or SIGINT. The
configuration says where the queue is (redis, queue) and where the store is
(clearing). Several consumers share the work of one queue where the store is
PostgreSQL; what one that dies had taken comes to another within 30 seconds.
However often a batch comes, it has the effect of one.

admin.listen answers /livez, /readyz and /metrics, and the records commands.`,
		Example: "  roamgate records consume --config clearing.yaml",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return consume(ctx, path)
		},
	}
	configFlag(c, &path)
	return c
}

// consumer is the running process of `records consume`.
type consumer struct {
	log   *zap.Logger
	stats *stat.Registry
	store *clearing.Store
	c     *queue.Consumer
	admin net.Listener
}

func consume(ctx context.Context, path string) error {
	conf, ps := loadConfig(path)
	if ps.Failed() {
		return refused(ps)
	}
	log, err := newLogger(conf)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }()
	src, err := conf.source(log)
	if err != nil {
		return problem("%v", err)
	}
	defer func() { _ = src.Close() }()
	admin, err := conf.listenAdmin(ctx)
	if err != nil {
		return problem("%v", err)
	}
	store, err := conf.openClearing(ctx, log)
	if err != nil {
		return errors.Join(conf.clearingProblem(err, oneStore), admin.Close())
	}
	k := &consumer{
		log: log, stats: stat.NewRegistry(), store: store, admin: admin,
		c: &queue.Consumer{Source: src, Taker: store, Logger: log},
	}
	k.series()
	err = k.run(ctx)
	if cerr := store.Close(); err == nil && cerr != nil {
		err = problem("closing the clearing store: %v", cerr)
	}
	return err
}

// run consumes until ctx ends or the administration port fails.
func (k *consumer) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	background, stop := context.WithCancel(context.Background())
	defer stop()
	var tasks sync.WaitGroup
	var failure error
	tasks.Go(func() {
		failure = serveHTTP(background, k.admin, k.handler())
		cancel()
	})
	tasks.Go(func() { sweep(background, k.store, k.log) })
	k.log.Info("consuming", zap.Stringer("admin", k.admin.Addr()), zap.String("version", versionText()))
	err := k.c.Run(ctx)
	stop()
	tasks.Wait()
	k.log.Info("stopped")
	return errors.Join(err, failure)
}

func (k *consumer) handler() http.Handler {
	mux := adminMux(k.stats)
	mux.HandleFunc("GET /readyz", k.readyz)
	recordPort{storeBook{k.store}}.handle(mux)
	return trusted(mux)
}

// readyz says whether the queue and the store are reached.
func (k *consumer) readyz(w http.ResponseWriter, r *http.Request) {
	code := http.StatusOK
	if _, err := k.store.Stats(r.Context()); err != nil || !k.c.Stats().Up.Load() {
		code = http.StatusServiceUnavailable
	}
	w.WriteHeader(code)
	fmt.Fprintln(w, http.StatusText(code))
}

func (k *consumer) series() {
	r, st := k.stats, k.c.Stats()
	count := func(name, help string, f func() uint64) {
		r.CounterFunc(name, help, func() float64 { return float64(f()) })
	}
	count("roamgate_consumer_batches_total", "Batches taken from the queue and stored.", st.Batches.Load)
	count("roamgate_consumer_records_total", "Records in them.", st.Records.Load)
	count("roamgate_consumer_repeated_batches_total", "Batches that the queue had delivered before.", st.Again.Load)
	count("roamgate_consumer_taken_over_batches_total", "Of those, batches that another consumer had not confirmed.", st.TakenOver.Load)
	count("roamgate_consumer_foreign_messages_total", "Messages that are no batch: kept as dead letters.", st.Foreign.Load)
	count("roamgate_consumer_conflicts_total", "Batches that contradict what was stored: kept as dead letters.", st.Conflicts.Load)
	count("roamgate_consumer_store_errors_total", "Attempts to store a batch that failed.", st.StoreFails.Load)
	count("roamgate_consumer_queue_errors_total", "Failures of the queue.", st.QueueFails.Load)
	r.GaugeFunc("roamgate_consumer_last_timestamp_seconds", "When a batch was last stored, Unix time; 0: never.", func() float64 { return float64(st.Last.Load()) / 1e9 })
	r.GaugeFunc("roamgate_consumer_up", "1 while the queue is reached.", func() float64 {
		if st.Up.Load() {
			return 1
		}
		return 0
	})
	clearingSeries(r, k.store)
}
