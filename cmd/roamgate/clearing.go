package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/accounting/clearing"
	"github.com/roamgate/roamgate/accounting/queue"
	"github.com/roamgate/roamgate/accounting/session"
	"github.com/roamgate/roamgate/accounting/usage"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm/file"
)

// Where the records of a hub go.
const (
	queueHere  = "clearing" // the clearing store in this process
	queueRedis = "redis"
	queueNATS  = "nats"
	queueKafka = "kafka"
)

// queueConfig is the way from the spools of the hubs to clearing.
type queueConfig struct {
	To   string `yaml:"to"`   // redis, nats, kafka or clearing; default redis where redis.address is, else clearing
	Node string `yaml:"node"` // this hub's name toward clearing, default the one that its spool has, else the host name
	Trim string `yaml:"trim"` // when the spool may forget: watermark, delivered or auto; default watermark
	NATS struct {
		Servers         []string `yaml:"servers"`          // nats:// or tls:// URLs
		CredentialsFile string   `yaml:"credentials_file"` // a JWT and its key
		Username        string   `yaml:"username"`
		PasswordFile    string   `yaml:"password_file"`
		Stream          string   `yaml:"stream"`   // default CLR
		Replicas        int      `yaml:"replicas"` // of the stream, default 3
	} `yaml:"nats"`
	Kafka struct {
		Brokers      []string `yaml:"brokers"`  // host:port
		Topic        string   `yaml:"topic"`    // default clr
		Replicas     int      `yaml:"replicas"` // of the topic, default 3
		Username     string   `yaml:"username"`
		PasswordFile string   `yaml:"password_file"` // SASL SCRAM-SHA-512
		TLS          bool     `yaml:"tls"`
	} `yaml:"kafka"`
}

// clearingConfig is the clearing store and its rules.
type clearingConfig struct {
	Directory    string        `yaml:"directory"`     // of the embedded store, default clearing
	PostgresFile string        `yaml:"postgres_file"` // holds the connection string of a PostgreSQL that is the store instead
	Keep         time.Duration `yaml:"keep"`          // how long usage records and record keys stay, default 9600h
	Interim      time.Duration `yaml:"interim"`       // how far apart reports are at most, default 1h
	MaxSession   time.Duration `yaml:"max_session"`   // then a session without any report is closed, default 168h
	LinkRate     file.Size     `yaml:"link_rate"`     // octets a second no link is faster than, default 1250MB
	WRIX         []string      `yaml:"wrix"`          // clients whose records must follow the WRIX-i profile; "*" all
}

// to is where records go.
func (c *config) to() string {
	here := queueHere
	if c.Redis.Address != "" {
		here = queueRedis
	}
	return cmp.Or(c.Queue.To, here)
}

func (c *config) checkQueue(f *findings) {
	if _, err := queue.ParseTrim(c.Queue.Trim); err != nil {
		f.bad("queue.trim", err.Error(), "auto, delivered or watermark")
	}
	f.oneOf("queue.to", c.to(), queueHere, queueRedis, queueNATS, queueKafka)
	switch {
	case c.to() == queueRedis && c.Redis.Address == "":
		f.bad("queue.to", "records go to Redis but there is no redis.address", "add redis.address, or choose another queue.to")
	case c.to() == queueNATS && len(c.Queue.NATS.Servers) == 0:
		f.bad("queue.to", "records go to NATS but queue.nats.servers names none", "such as [tls://nats-1.example:4222]")
	case c.to() == queueKafka && len(c.Queue.Kafka.Brokers) == 0:
		f.bad("queue.to", "records go to Kafka but queue.kafka.brokers names none", "such as [kafka-1.example:9093]")
	}
	if r := c.Queue.NATS.Replicas; r < 0 || r > 5 {
		f.bad("queue.nats.replicas", fmt.Sprintf("queue.nats.replicas %d is out of range", r), "1, 3 or 5; 3 or 5 need as many servers")
	}
	if c.Queue.Node != "" && !nodeName.MatchString(c.Queue.Node) {
		f.bad("queue.node", "queue.node is part of the queue's name and has something else than letters, digits, dots, dashes and underscores in it",
			"give this hub a name of up to 64 of these")
	}
}

// queueSecrets reads what the way to the queue needs, and says which key is
// wrong.
func (c *config) queueSecrets() (key string, err error) {
	switch c.to() {
	case queueNATS:
		if f := c.Queue.NATS.CredentialsFile; f != "" {
			if _, err := os.Stat(c.path(f)); err != nil {
				return "queue.nats.credentials_file", fmt.Errorf("reading the NATS credentials: %w", err)
			}
		}
		_, err = c.natsServer()
		return "queue.nats.password_file", err
	case queueKafka:
		_, err = c.kafkaServer()
		return "queue.kafka.password_file", err
	}
	return "", nil
}

// trim is when the spool may forget. In this process what is delivered is
// stored.
func (c *config) trim() (queue.Trim, error) {
	if c.to() == queueHere {
		return queue.TrimDelivered, nil
	}
	return queue.ParseTrim(cmp.Or(c.Queue.Trim, "watermark"))
}

// secretText reads a file that holds one line of secret text; "" where none
// is named.
func (c *config) secretText(path, what string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(c.path(path))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", what, err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

func (c *config) checkClearing(f *findings) {
	l := &c.Clearing
	for _, d := range []struct {
		key string
		is  time.Duration
		low time.Duration
	}{
		{"clearing.keep", l.Keep, 24 * time.Hour},
		{"clearing.interim", l.Interim, time.Minute},
		{"clearing.max_session", l.MaxSession, time.Minute},
	} {
		if d.is != 0 && d.is < d.low {
			f.bad(d.key, fmt.Sprintf("%s %s is out of range", d.key, d.is), "at least "+d.low.String())
		}
	}
	if l.LinkRate < 0 {
		f.bad("clearing.link_rate", "clearing.link_rate is below 0", "octets a second, such as 12500KB")
	}
}

// openClearing opens the clearing store. logger may be nil.
func (c *config) openClearing(ctx context.Context, log *zap.Logger) (*clearing.Store, error) {
	l := &c.Clearing
	rules := session.Default()
	rules.Interim = cmp.Or(l.Interim, rules.Interim)
	rules.MaxSession = cmp.Or(l.MaxSession, rules.MaxSession)
	rules.LinkRate = cmp.Or(uint64(l.LinkRate), rules.LinkRate)
	rules.Validators.WRIX = l.WRIX
	o := clearing.Options{Rules: &rules, Keep: l.Keep, Logger: log}
	if l.PostgresFile != "" {
		text, err := c.secretText(l.PostgresFile, "the connection string of PostgreSQL")
		if err != nil {
			return nil, err
		}
		o.PostgreSQL = text
	} else {
		o.Directory = c.path(l.Directory)
	}
	return clearing.Open(ctx, o)
}

// sweep closes sessions whose Stop is missing until ctx ends.
func sweep(ctx context.Context, s *clearing.Store, log *zap.Logger) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := s.Now(ctx)
		if err == nil {
			_, err = s.Sweep(ctx, now)
		}
		if err != nil && ctx.Err() == nil {
			log.Error("closing sessions without a stop", zap.Error(err))
		}
	}
}

const sweepEvery = 30 * time.Second

const (
	askIt    = "ask it without --config"
	oneStore = "two that clear need a directory each, or one PostgreSQL"
)

// clearingExists keeps a command that reads from making a store.
func (c *config) clearingExists() error {
	if c.Clearing.PostgresFile != "" {
		return nil
	}
	if _, err := os.Stat(c.path(c.Clearing.Directory)); err != nil {
		return problem("there is no clearing store: %v (it is where the records are consumed: in the hub where queue.to is clearing, else in `roamgate records consume`)", err)
	}
	return nil
}

// clearingProblem says why the store cannot be opened; instead is what to do
// where another process has it open.
func (c *config) clearingProblem(err error, instead string) error {
	if errors.Is(err, syscall.EAGAIN) {
		return problem("the clearing store %s is in use by a process that runs (%s)", c.path(c.Clearing.Directory), instead)
	}
	return problem("%v", err)
}

// clearingSeries exports what a clearing store counts. Reading it takes
// milliseconds, so all series of one scrape share one look.
func clearingSeries(r *stat.Registry, s *clearing.Store) {
	var mu sync.Mutex
	var last clearing.Stats
	var at time.Time
	look := func() clearing.Stats {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(at) > time.Second {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			if st, err := s.Stats(ctx); err == nil {
				last, at = st, time.Now()
			}
		}
		return last
	}
	for c := range usage.Classes {
		r.GaugeFunc("roamgate_clearing_reports", "Reports of accounting packets by where they ended; they add up to all that were taken.",
			func() float64 { return float64(look().Classes[c]) }, "class", c.String())
	}
	for _, status := range []usage.Status{usage.Final, usage.Partial, usage.Estimated, usage.Correction} {
		r.CounterFunc("roamgate_clearing_records_total", "Usage records ever written.",
			func() float64 { return float64(look().Records[status]) }, "status", string(status))
	}
	r.GaugeFunc("roamgate_clearing_open_sessions", "Sessions without a Stop.", func() float64 { return float64(look().Open) })
	r.GaugeFunc("roamgate_clearing_dead_letters", "What came and could not be taken: see roamgate records dead.", func() float64 { return float64(look().DeadLetters) })
	r.GaugeFunc("roamgate_clearing_missing_reports", "Reports that hubs numbered and that did not come yet.", func() float64 { return float64(look().Missing) })
	r.CounterFunc("roamgate_clearing_commits_total", "Transactions of the clearing store.", func() float64 { return float64(look().Commits) })
	r.CounterFunc("roamgate_clearing_commit_seconds_total", "Time spent in them.", func() float64 { return look().CommitTime.Seconds() })
}
