package device

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Store writes and reads the policies in Redis, for the policy subcommands.
// Every change and its entry in the change stream are one transaction, so the
// hubs that follow the stream have it in less than a second. A Store is safe
// for concurrent use.
type Store struct {
	r    *Redis
	c    redis.UniversalClient
	hash hasher
}

// storeTimeout bounds one call of the admin side.
const storeTimeout = 10 * time.Second

const defaultChangeLength = 1 << 20

// OpenStore makes a Store. Nothing is sent before the first call.
func OpenStore(r *Redis) (*Store, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	return newStore(r, 4, newHasher(r)), nil
}

func newStore(r *Redis, pool int, h hasher) *Store {
	return &Store{r: r, c: r.open(pool, 0, storeTimeout), hash: h}
}

// Close ends the connections.
func (s *Store) Close() error { return s.c.Close() }

func (s *Store) name(ident []byte) string {
	return s.r.identityName(ident, s.hash.sum(ident))
}

// Op is what a change did.
type Op string

// The operations of the change stream.
const (
	OpDevice        Op = "device"
	OpDeviceDelete  Op = "device-delete"
	OpProfile       Op = "profile"
	OpProfileDelete Op = "profile-delete"
)

// StreamID is the place of an entry in the change stream.
type StreamID struct{ Milliseconds, Sequence uint64 }

// Less orders places.
func (a StreamID) Less(b StreamID) bool {
	return a.Milliseconds < b.Milliseconds || a.Milliseconds == b.Milliseconds && a.Sequence < b.Sequence
}

// String is the place as Redis writes it.
func (a StreamID) String() string {
	return strconv.FormatUint(a.Milliseconds, 10) + "-" + strconv.FormatUint(a.Sequence, 10)
}

func parseStreamID(s string) (id StreamID, err error) {
	ms, seq, _ := strings.Cut(s, "-")
	if id.Milliseconds, err = strconv.ParseUint(ms, 10, 64); err != nil {
		return id, err
	}
	id.Sequence, err = strconv.ParseUint(seq, 10, 64)
	return id, err
}

// Change is one entry of the change stream.
type Change struct {
	ID    StreamID
	Op    Op
	Name  string // of the profile, or the store's name of the device: private
	Value string // empty after a deletion
}

// version takes n versions and gives the last.
func (s *Store) version(ctx context.Context, n int64) (uint64, error) {
	v, err := s.c.IncrBy(ctx, s.r.counterKey(), n).Result()
	return uint64(v), err
}

func (s *Store) note(ctx context.Context, p redis.Pipeliner, op Op, name, value string) {
	length := s.r.ChangeLength
	if length <= 0 {
		length = defaultChangeLength
	}
	p.XAdd(ctx, &redis.XAddArgs{
		Stream: s.r.changesKey(), MaxLen: length, Approx: true,
		Values: []string{"op", string(op), "key", name, "value", value},
	})
}

// Set writes a profile.
func (s *Store) Set(ctx context.Context, spec *ProfileSpec) error {
	if _, problems, _ := spec.Compile(); len(problems) > 0 {
		return fmt.Errorf("profile %q: %w", spec.Name, problems[0])
	}
	b, err := encodeProfile(spec)
	if err != nil {
		return fmt.Errorf("encoding profile %q: %w", spec.Name, err)
	}
	if len(b) > maxValue {
		return fmt.Errorf("profile %q is larger than 64 KiB", spec.Name)
	}
	_, err = s.c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, s.r.profilesKey(), spec.Name, b)
		s.note(ctx, p, OpProfile, spec.Name, string(b))
		return nil
	})
	return wrap(err, "writing profile %q", spec.Name)
}

// Get reads a profile; nil where there is none.
func (s *Store) Get(ctx context.Context, name string) (*ProfileSpec, error) {
	b, err := s.c.HGet(ctx, s.r.profilesKey(), name).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap(err, "reading profile %q", name)
	}
	spec, _, why, ok := decodeProfile(b, name)
	if !ok {
		return nil, fmt.Errorf("reading profile %q: its value is unusable: %s", name, why)
	}
	return spec, nil
}

// Names lists the profiles.
func (s *Store) Names(ctx context.Context) ([]string, error) {
	names, err := s.c.HKeys(ctx, s.r.profilesKey()).Result()
	return names, wrap(err, "listing profiles")
}

// Delete removes a profile; devices that refer to it are then treated as if
// the store were away.
func (s *Store) Delete(ctx context.Context, name string) error {
	_, err := s.c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.HDel(ctx, s.r.profilesKey(), name)
		s.note(ctx, p, OpProfileDelete, name, "")
		return nil
	})
	return wrap(err, "deleting profile %q", name)
}

// SetDevice writes a device. Errors do not name it.
func (s *Store) SetDevice(ctx context.Context, d *DeviceSpec) error {
	ident, err := d.check()
	if err != nil {
		return err
	}
	v, err := s.version(ctx, 1)
	if err != nil {
		return wrap(err, "writing a device")
	}
	_, err = s.c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		s.setDevice(ctx, p, ident, d.value(v))
		return nil
	})
	return wrap(err, "writing a device")
}

func (s *Store) setDevice(ctx context.Context, p redis.Pipeliner, ident []byte, v value) {
	name := s.name(ident)
	b := string(appendValue(nil, v, name))
	p.Set(ctx, s.r.key("d:")+name, b, 0)
	s.note(ctx, p, OpDevice, name, b)
}

// Device reads what the store holds for the identity in d: its profile, its
// flags and the version of its last change. found is false where it holds
// nothing.
func (s *Store) Device(ctx context.Context, d DeviceSpec) (got DeviceSpec, version uint32, found bool, err error) {
	ident, problems := d.identity()
	if len(problems) > 0 {
		return d, 0, false, problems[0]
	}
	name := s.name(ident)
	b, err := s.c.Get(ctx, s.r.key("d:")+name).Result()
	if errors.Is(err, redis.Nil) {
		return d, 0, false, nil
	}
	if err != nil {
		return d, 0, false, wrap(err, "reading a device")
	}
	v, why, ok := decodeValue(b, name)
	if !ok {
		return d, 0, false, fmt.Errorf("reading a device: its value is unusable: %s", why)
	}
	d.Profile, d.Blocked = v.profile, v.flags&flagBlocked != 0
	return d, v.version, true, nil
}

// DeleteDevice removes a device: it is unknown then.
func (s *Store) DeleteDevice(ctx context.Context, d DeviceSpec) error {
	ident, problems := d.identity()
	if len(problems) > 0 {
		return problems[0]
	}
	name := s.name(ident)
	_, err := s.c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Del(ctx, s.r.key("d:")+name)
		s.note(ctx, p, OpDeviceDelete, name, "")
		return nil
	})
	return wrap(err, "deleting a device")
}

// Watch gives every change from now on to fn until ctx or fn ends it.
func (s *Store) Watch(ctx context.Context, fn func(Change) error) error {
	_, at, err := s.bounds(ctx)
	for err == nil {
		var list []Change
		if list, err = s.changes(ctx, at, 200*time.Millisecond, followBatch); err != nil {
			break
		}
		for _, c := range list {
			if err := fn(c); err != nil {
				return err
			}
			at = c.ID
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return wrap(err, "watching changes")
}

// changes reads entries after a place, waiting up to block for the first.
func (s *Store) changes(ctx context.Context, after StreamID, block time.Duration, n int64) ([]Change, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// A server that answers nothing at all, not even that nothing is new, is away.
	ctx, cancel := context.WithTimeout(ctx, block+2*time.Second)
	defer cancel()
	streams, err := s.c.XRead(ctx, &redis.XReadArgs{
		Streams: []string{s.r.changesKey(), after.String()}, Count: n, Block: block,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil || len(streams) == 0 {
		return nil, err
	}
	list := make([]Change, 0, len(streams[0].Messages))
	for _, m := range streams[0].Messages {
		id, err := parseStreamID(m.ID)
		if err != nil {
			return nil, fmt.Errorf("reading the place of a change: %w", err)
		}
		op, _ := m.Values["op"].(string)
		name, _ := m.Values["key"].(string)
		value, _ := m.Values["value"].(string)
		list = append(list, Change{id, Op(op), name, value})
	}
	return list, nil
}

// bounds gives the first and last place of the change stream, zero where it is
// empty.
func (s *Store) bounds(ctx context.Context) (first, last StreamID, err error) {
	var lo, hi *redis.XMessageSliceCmd
	if _, err = s.c.Pipelined(ctx, func(p redis.Pipeliner) error {
		lo = p.XRangeN(ctx, s.r.changesKey(), "-", "+", 1)
		hi = p.XRevRangeN(ctx, s.r.changesKey(), "+", "-", 1)
		return nil
	}); err != nil {
		return first, last, err
	}
	if m := lo.Val(); len(m) > 0 {
		if first, err = parseStreamID(m[0].ID); err != nil {
			return first, last, err
		}
	}
	if m := hi.Val(); len(m) > 0 {
		last, err = parseStreamID(m[0].ID)
	}
	return first, last, err
}

func (s *Store) rawProfiles(ctx context.Context) (map[string]string, error) {
	return s.c.HGetAll(ctx, s.r.profilesKey()).Result()
}

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
