package queue

import (
	"crypto/tls"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// Server says where the Redis of the clearing side is.
type Server struct {
	Address  string // host:port
	Username string
	Password string
	DB       int
	TLS      *tls.Config // nil: none
}

// OpenRedis returns a sink like NewRedis with a client of its own, which
// Close ends. Nothing is sent before the first use.
func OpenRedis(s Server, node string, epoch uint64, log *zap.Logger) *Redis {
	return NewRedis(redis.NewClient(&redis.Options{
		Addr: s.Address, Username: s.Username, Password: s.Password, DB: s.DB, TLSConfig: s.TLS,
		DisableIdentity: true, ContextTimeoutEnabled: true,
	}), node, epoch, log)
}

// Close ends the client.
func (r *Redis) Close() error { return r.c.Close() }
