package device

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/roamgate/roamgate/realm"
)

// Redis names a policy store.
type Redis struct {
	// Addresses are host:port or unix:/path; several only with Cluster or
	// Master.
	Addresses []string
	// Cluster speaks to a Redis Cluster.
	Cluster bool
	// Master makes the addresses those of sentinels that know it by this
	// name; SentinelUsername and SentinelPassword are for them.
	Master           string
	SentinelUsername string
	SentinelPassword realm.Secret

	Username string
	Password realm.Secret
	DB       int
	TLS      *tls.Config // nil: none
	// Space is the first part of every key, "dp". All keys of a space share
	// one hash tag, because a change and its entry in the change stream are
	// one transaction: in a cluster a space lives on one shard.
	Space string
	// NameKey, at least 16 octets, replaces identities in keys, values and the
	// change stream by keyed hashes. Every process of a space needs the same.
	NameKey realm.Secret
	// ChangeLength is how many changes the stream keeps, about 1 Mi. A process
	// that was away longer puts its whole cache in doubt.
	ChangeLength int64
}

// Check says what is wrong with r.
func (r *Redis) Check() error {
	switch {
	case len(r.Addresses) == 0:
		return errors.New("device: no address of the policy store")
	case len(r.Addresses) > 1 && !r.Cluster && r.Master == "":
		return errors.New("device: several addresses of the policy store need cluster or master")
	case len(r.NameKey) > 0 && len(r.NameKey) < 16:
		return errors.New("device: the name key is shorter than 16 octets")
	case r.Space != "" && !validName(r.Space):
		return fmt.Errorf("device: space %q is not a name", r.Space)
	}
	return nil
}

// The keys of a space "dp". Operators may read them; roamgate writes them.
//
//	{dp}:d:imsi:262011234567890   string, the value of one device (value.go)
//	{dp}:profiles                 hash, profile name -> JSON with "v":1
//	{dp}:chg                      stream of changes: op, key, value
//	{dp}:n                        counter, the version of the last change
//	{dp}:import:NAME              how far the import NAME has come
//
// With Redis.NameKey a device is h:HEX instead of imsi:..., where HEX is the
// keyed hash of its identity; without it the store holds personal data and
// needs the care of a subscriber register.
func (r *Redis) key(rest string) string {
	space := r.Space
	if space == "" {
		space = "dp"
	}
	return "{" + space + "}:" + rest
}

func (r *Redis) profilesKey() string { return r.key("profiles") }
func (r *Redis) changesKey() string  { return r.key("chg") }
func (r *Redis) counterKey() string  { return r.key("n") }

func (r *Redis) deviceKey(ident []byte, k Key) string {
	return r.key("d:") + r.identityName(ident, k)
}

// identityName is what the store calls a device.
func (r *Redis) identityName(ident []byte, k Key) string {
	if len(r.NameKey) == 0 {
		return string(ident)
	}
	return hashedName + hex.EncodeToString(k[:])
}

const hashedName = "h:"

// keyOf turns the store's name of a device into its key here.
func (h hasher) keyOf(name string) (k Key, ok bool) {
	if digest, found := strings.CutPrefix(name, hashedName); found {
		n, err := hex.Decode(k[:], []byte(digest[:min(len(digest), 2*len(k))]))
		return k, err == nil && n == len(k) && len(digest) == 2*len(k)
	}
	return h.sum([]byte(name)), true
}

// errReplyTooLarge ends a connection whose reply passes the limit.
var errReplyTooLarge = errors.New("reply too large")

// replyLimit bounds what one batch of values may bring.
const replyLimit = batchKeys*(maxValue+64) + 4096

// boundedConn refuses to read more than limit octets for one request, so that
// one monstrous value costs neither memory nor time.
type boundedConn struct {
	net.Conn
	limit, read int
}

func (c *boundedConn) Write(b []byte) (int, error) {
	c.read = 0
	return c.Conn.Write(b)
}

func (c *boundedConn) Read(b []byte) (int, error) {
	if c.read > c.limit {
		return 0, errReplyTooLarge
	}
	n, err := c.Conn.Read(b)
	c.read += n
	return n, err
}

// dialer makes connections with a limit on replies, 0 none.
func (r *Redis) dialer(limit int) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if path, ok := strings.CutPrefix(addr, "unix:"); ok {
			network, addr = "unix", path
		}
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if r.TLS != nil {
			if conn, err = secure(ctx, conn, r.TLS, addr); err != nil {
				return nil, err
			}
		}
		if limit > 0 {
			conn = &boundedConn{Conn: conn, limit: limit}
		}
		return conn, nil
	}
}

func secure(ctx context.Context, conn net.Conn, c *tls.Config, addr string) (net.Conn, error) {
	if c.ServerName == "" && !c.InsecureSkipVerify {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			host = addr
		}
		c = c.Clone()
		c.ServerName = host
	}
	t := tls.Client(conn, c)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return t, nil
}

// silent keeps go-redis from writing to standard error: what it would say is
// counted here, and its texts hold addresses and keys.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

var silence = sync.OnceFunc(func() { redis.SetLogger(silent{}) })

// open makes a client that retries nothing by itself.
func (r *Redis) open(pool, limit int, timeout time.Duration) redis.UniversalClient {
	silence()
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: r.Addresses, IsClusterMode: r.Cluster, MasterName: r.Master,
		SentinelUsername: r.SentinelUsername, SentinelPassword: string(r.SentinelPassword),
		Username: r.Username, Password: string(r.Password), DB: r.DB,
		Dialer: r.dialer(limit), Protocol: 2, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: time.Second, ReadTimeout: timeout, WriteTimeout: timeout, ContextTimeoutEnabled: true,
		PoolSize: pool, PoolTimeout: timeout, MinIdleConns: min(pool, 1), DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// redisSource is a source over one connection of its own.
type redisSource struct {
	r *Redis
	c redis.UniversalClient // nil after reset
}

// newRedisSource begins to connect at once, so that the first miss finds a
// connection.
func newRedisSource(r *Redis) *redisSource {
	s := &redisSource{r: r}
	s.client()
	return s
}

func (s *redisSource) client() redis.UniversalClient {
	if s.c == nil {
		s.c = s.r.open(1, replyLimit, time.Second)
	}
	return s.c
}

func (s *redisSource) get(ctx context.Context, names []string, out []reply) error {
	vals, err := s.client().MGet(ctx, names...).Result()
	if errors.Is(err, errReplyTooLarge) {
		return s.getBounded(ctx, names, out)
	}
	if err != nil {
		return err
	}
	if len(vals) != len(out) {
		return fmt.Errorf("MGET of %d keys gave %d values", len(out), len(vals))
	}
	for i, v := range vals {
		out[i].value, out[i].found = v.(string)
		out[i].large = len(out[i].value) > maxValue
	}
	return nil
}

// getBounded reads no more of a value than it may have: the way on when one of
// a batch is too large for MGET.
func (s *redisSource) getBounded(ctx context.Context, names []string, out []reply) error {
	cmds := make([]*redis.StringCmd, len(names))
	_, err := s.client().Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, n := range names {
			cmds[i] = p.GetRange(ctx, n, 0, maxValue)
		}
		return nil
	})
	var said redis.Error
	if err != nil && !errors.As(err, &said) {
		return err
	}
	for i, c := range cmds {
		v, err := c.Result()
		out[i] = reply{value: v, found: err == nil && v != "", large: len(v) > maxValue}
	}
	return nil
}

func (s *redisSource) ping(ctx context.Context) error { return s.client().Ping(ctx).Err() }

func (s *redisSource) reset() {
	s.close()
	s.c = nil
}

func (s *redisSource) close() {
	if s.c != nil {
		_ = s.c.Close()
	}
}

// faultOf sorts an error of the store.
func faultOf(err error) Fault {
	var said redis.Error
	var timeout net.Error
	switch {
	case errors.Is(err, errReplyTooLarge):
		return FaultTooLarge
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, redis.ErrPoolTimeout):
		return FaultTimeout
	case errors.As(err, &said):
		if strings.HasPrefix(said.Error(), "WRONGTYPE") {
			return FaultWrongType
		}
		return FaultServer
	}
	return FaultConnection
}
