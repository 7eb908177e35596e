package main

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/accounting/queue"
)

// closer is what a sink or a source leaves behind.
type closer interface{ Close() error }

// sink opens the way from the spool of an epoch to clearing.
func (s *server) sink(ctx context.Context, epoch uint64) (queue.Sink, error) {
	c, node := s.conf, s.conf.Queue.Node
	switch c.to() {
	case queueRedis:
		r, err := c.redisServer()
		if err != nil {
			return nil, err
		}
		return keep(s, queue.OpenRedis(r, node, epoch, s.log), nil)
	case queueNATS:
		n, err := c.natsServer()
		if err != nil {
			return nil, err
		}
		sink, err := queue.OpenNATS(n, node, epoch, s.log)
		return keep(s, sink, err)
	case queueKafka:
		k, err := c.kafkaServer()
		if err != nil {
			return nil, err
		}
		sink, err := queue.OpenKafka(k, node, epoch, s.log)
		return keep(s, sink, err)
	}
	var err error
	if s.clearing, err = c.openClearing(ctx, s.log); err != nil {
		return nil, c.clearingProblem(err, oneStore)
	}
	s.closers = append(s.closers, func() { _ = s.clearing.Close() })
	return queue.NewEmbedded(node, s.clearing), nil
}

// keep closes a sink with the server.
func keep[T queue.Sink](s *server, sink T, err error) (queue.Sink, error) {
	if err != nil {
		return nil, err
	}
	if c, ok := any(sink).(closer); ok {
		s.closers = append(s.closers, func() { _ = c.Close() })
	}
	return sink, nil
}

// source opens the consumer's end of the queue.
func (c *config) source(log *zap.Logger) (queue.Source, error) {
	o := queue.SourceOptions{Logger: log}
	switch c.to() {
	case queueRedis:
		r, err := c.redisServer()
		if err != nil {
			return nil, err
		}
		return queue.OpenRedisSource(r, o), nil
	case queueNATS:
		n, err := c.natsServer()
		if err != nil {
			return nil, err
		}
		return queue.OpenNATSSource(n, o)
	case queueKafka:
		k, err := c.kafkaServer()
		if err != nil {
			return nil, err
		}
		return queue.OpenKafkaSource(k, o)
	}
	return nil, fmt.Errorf("this configuration names no queue: its hub clears its own records (queue.to)")
}

func (c *config) redisServer() (s queue.Server, err error) {
	r := &c.Redis
	s = queue.Server{
		Address: r.Address, More: r.More, Master: r.Master, Cluster: r.Cluster,
		Username: r.Username, SentinelUsername: r.Sentinel.Username, DB: r.Database, TLS: c.redisTLS(),
	}
	if s.Password, err = c.secretText(r.PasswordFile, "the Redis password"); err != nil {
		return s, err
	}
	s.SentinelPassword, err = c.secretText(r.Sentinel.PasswordFile, "the sentinels' password")
	return s, err
}

func (c *config) natsServer() (queue.NATSServer, error) {
	n := &c.Queue.NATS
	pw, err := c.secretText(n.PasswordFile, "the NATS password")
	return queue.NATSServer{
		Addresses: n.Servers, Username: n.Username, Password: pw, Credentials: c.path(n.CredentialsFile),
		Stream: n.Stream, Replicas: n.Replicas,
	}, err
}

func (c *config) kafkaServer() (s queue.KafkaServer, err error) {
	k := &c.Queue.Kafka
	s = queue.KafkaServer{Addresses: k.Brokers, Topic: k.Topic, Replicas: k.Replicas, Username: k.Username}
	if k.TLS {
		s.TLS = clientTLS("")
	}
	s.Password, err = c.secretText(k.PasswordFile, "the Kafka password")
	return s, err
}
