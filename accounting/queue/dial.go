package queue

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/zap"
)

// Server says where the Redis of the clearing side is.
type Server struct {
	Address  string // host:port
	Username string
	Password string
	DB       int
	TLS      *tls.Config // nil: none
	// More are further addresses, of a cluster or of sentinels.
	More []string
	// Master makes the addresses those of sentinels that know it by this
	// name; SentinelUsername and SentinelPassword are for them.
	Master           string
	SentinelUsername string
	SentinelPassword string
	// Cluster says that the one address leads to a cluster.
	Cluster bool
}

// redisTimeout bounds every command: an entry of a megabyte and its sync
// take milliseconds.
const redisTimeout = 5 * time.Second

// OpenRedis returns a sink for the spool of the given epoch, on the proxy
// that the name node tells from others using the same queue. Nothing is sent
// before the first use; Close it after the drainer has ended.
func OpenRedis(s Server, node string, epoch uint64, log *zap.Logger) *Redis {
	if log == nil {
		log = zap.NewNop()
	}
	r := &Redis{
		node: node, epoch: epoch, log: log,
		stream: streamKey(node, epoch), streams: streamsKey(node), wm: watermarkKey(node),
	}
	o := s.options()
	o.Dialer = r.dialer(s.TLS)
	// Trying again is the drainer's business, and it wants to know.
	o.MaxRetries, o.DialerRetries = -1, 1
	o.PoolSize, o.ConnMaxIdleTime = 1, -1
	r.c = redis.NewUniversalClient(o)
	return r
}

// options are those that the producer and the consumer share.
func (s *Server) options() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Addrs: append([]string{s.Address}, s.More...), MasterName: s.Master, IsClusterMode: s.Cluster,
		Username: s.Username, Password: s.Password, DB: s.DB,
		SentinelUsername: s.SentinelUsername, SentinelPassword: s.SentinelPassword,
		TLSConfig:   s.TLS,
		DialTimeout: redisTimeout, ReadTimeout: redisTimeout, WriteTimeout: redisTimeout,
		ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// Keys of a queue in Redis. What belongs to one node is in one slot.
const nodesKey = "clr:nodes"

func streamKey(node string, epoch uint64) string { return fmt.Sprintf("clr:{%s}:%d", node, epoch) }
func streamsKey(node string) string              { return fmt.Sprintf("clr:streams:{%s}", node) }
func watermarkKey(node string) string            { return fmt.Sprintf("clr:wm:{%s}", node) }

var errConnection = errors.New("the connection to the queue was lost")

// dialer makes connections only while Last asks where the stream stands. A
// client that connects again behind our back could append to a server that
// came back with less than it had, and what it lacks could then never be put
// in its place. At any other time it hands out a dead connection: the
// client's pool would hold an error of ours against the server.
func (r *Redis) dialer(t *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	plain := &net.Dialer{Timeout: redisTimeout, KeepAlive: 30 * time.Second}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if !r.asking.Load() {
			return dead{}, nil
		}
		if t == nil {
			return plain.DialContext(ctx, network, addr)
		}
		return (&tls.Dialer{NetDialer: plain, Config: t}).DialContext(ctx, network, addr)
	}
}

// dead is a connection that was lost before it began.
type dead struct{}

func (dead) Read([]byte) (int, error)         { return 0, errConnection }
func (dead) Write([]byte) (int, error)        { return 0, errConnection }
func (dead) Close() error                     { return nil }
func (dead) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (dead) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (dead) SetDeadline(time.Time) error      { return nil }
func (dead) SetReadDeadline(time.Time) error  { return nil }
func (dead) SetWriteDeadline(time.Time) error { return nil }

// Close ends the connection.
func (r *Redis) Close() error { return r.c.Close() }
