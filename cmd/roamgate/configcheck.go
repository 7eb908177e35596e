package main

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"time"

	"github.com/roamgate/roamgate/realm/file"
	"github.com/roamgate/roamgate/realm/history"
)

// check finds what is well formed and still wrong.
func (c *config) check() file.Problems {
	f := &findings{doc: c.doc}
	c.checkAddresses(f)
	c.checkLimits(f)
	c.checkDiameter(f)
	c.checkRedis(f)
	c.checkQueue(f)
	c.checkClearing(f)
	f.oneOf("routing.apply", c.Routing.Apply, applyAuto, applyManual)
	if k := c.Routing.Keep; k < history.MinKeep || k > history.MaxKeep {
		f.bad("routing.keep", "routing.keep is out of range", fmt.Sprintf("%d to %d", history.MinKeep, history.MaxKeep))
	}
	c.checkFTicks(f)
	f.oneOf("log.format", c.Log.Format, "json", "console")
	f.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	return f.ps
}

// nodeName keeps the node out of the braces and colons of Redis keys.
var nodeName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// findings collects problems of the main file by key.
type findings struct {
	doc *file.Document
	ps  file.Problems
}

func (f *findings) bad(key, text, hint string) {
	f.ps = append(f.ps, file.Problem{Pos: f.doc.Pos(key), Severity: file.Error, Text: text, Hint: hint})
}

// between bounds a time that is given.
func (f *findings) between(key string, v, low, high time.Duration, hint string) {
	if v != 0 && (v < low || v > high) {
		f.bad(key, fmt.Sprintf("%s %s is out of range", key, v), hint)
	}
}

// size bounds a number of things.
func (f *findings) size(key string, v, high int) {
	if v < 0 || v > high {
		f.bad(key, key+" is out of range", fmt.Sprintf("1 to %d", high))
	}
}

func (f *findings) oneOf(key, value string, words ...string) {
	list := ""
	for i, w := range words {
		if value == w {
			return
		}
		switch {
		case i == len(words)-1:
			list += " or "
		case i > 0:
			list += ", "
		}
		list += w
	}
	f.bad(key, fmt.Sprintf("%s %q is not known", key, value), list)
}

func (f *findings) hostPort(key, value, example string) {
	if _, _, err := net.SplitHostPort(value); err != nil {
		f.bad(key, fmt.Sprintf("%s %q is not host:port", key, value), "such as "+example)
	}
}

func (c *config) checkAddresses(f *findings) {
	type place struct {
		netip.AddrPort
		by string
	}
	used := map[place]string{}
	once := func(key, by string, as []netip.AddrPort) {
		for i, a := range as {
			a := place{a, by}
			key := fmt.Sprintf("%s.%d", key, i)
			if first, twice := used[a]; twice && a.Port() != 0 {
				f.bad(key, fmt.Sprintf("%s is listened on twice", a.AddrPort), "it stands at "+first+" already")
			}
			used[a] = f.doc.Pos(key).String()
		}
	}
	once("listen.auth", "udp", c.Listen.Auth)
	once("listen.acct", "udp", c.Listen.Acct)
	once("listen.dynauth", "udp", c.Listen.DynAuth)
	once("listen.dtls", "udp", c.Listen.DTLS)
	once("listen.radsec", "tcp", c.Listen.RadSec)
	once("listen.tcp", "tcp", c.Listen.TCP)
	once("diameter.listen", "tcp", c.Diameter.Listen)
	once("diameter.tls", "tcp", c.Diameter.TLS)
	once("diameter.sctp", "sctp", c.Diameter.SCTP)
	if len(c.listens()) == len(c.Listen.DynAuth) && !c.Diameter.on() {
		f.bad("listen", "nothing listens for requests", "add listen.auth, listen.radsec or another")
	}
	if c.DynAuth.Memory != 0 && len(c.Listen.DynAuth) == 0 && !c.DynAuth.Connections {
		f.bad("dynauth.memory", "dynauth says more but nothing listens to CoA", "add listen.dynauth, or connections: true")
	}
	if m := c.DynAuth.Memory; m < 0 || m > 16<<30 {
		f.bad("dynauth.memory", "dynauth.memory is out of range", "up to 16GiB; a session takes some 200 octets")
	}
	if a := c.Source.IPv4; a.IsValid() && !a.Is4() {
		f.bad("source.ipv4", fmt.Sprintf("source.ipv4 %s is no IPv4 address", a), "IPv6 addresses stand in source.ipv6")
	}
	if a := c.Source.IPv6; a.IsValid() && !a.Is6() {
		f.bad("source.ipv6", fmt.Sprintf("source.ipv6 %s is no IPv6 address", a), "IPv4 addresses stand in source.ipv4")
	}
	if !c.Admin.Listen.Addr().IsLoopback() {
		f.ps = append(f.ps, file.Problem{Pos: f.doc.Pos("admin.listen"), Severity: file.Warning,
			Text: "admin.listen is reachable from other hosts and asks for no password",
			Hint: "listen on a loopback address, or restrict it by firewall"})
	}
}

func (c *config) checkLimits(f *findings) {
	if c.Shards < 0 || c.Shards > 256 {
		f.bad("shards", "shards is out of range", "1 to 256, or leave it out for one a processor")
	}
	if c.InFlight < 0 || c.InFlight > 1<<20 {
		f.bad("in_flight", "in_flight is out of range", "1 to 1048576")
	}
	between, size := f.between, f.size
	size("connections.half_open", c.Connections.HalfOpen, 1<<16)
	size("connections.per_source", c.Connections.PerSource, 1<<16)
	size("connections.per_client", c.Connections.PerClient, 1<<20)
	size("connections.most", c.Connections.Most, 1<<20)
	between("connections.handshake", c.Connections.Handshake, time.Second, 2*time.Minute, "1s to 2m")
	between("connections.idle", c.Connections.Idle, 10*time.Second, 24*time.Hour, "10s to 24h")
	between("connections.stalled", c.Connections.Stalled, time.Second, 10*time.Minute, "1s to 10m")
	if c.RejectDelay != 0 {
		between("reject_delay", c.RejectDelay, time.Second, 10*time.Second, "1s to 10s, or 0s for none")
	}
	between("duplicates.keep", c.Duplicates.Keep, 5*time.Second, 30*time.Second, "5s to 30s (RFC 5080 section 2.2.2)")
	between("routing.poll", c.Routing.Poll, 10*time.Millisecond, time.Hour, "10ms to 1h")
	between("policy.budget", c.Policy.Budget, 100*time.Microsecond, time.Second, "100us to 1s: a parked request waits for it")
	between("spool.keep", c.Spool.Keep, time.Minute, 10*365*24*time.Hour, "at least 1m")
}

func (c *config) checkRedis(f *findings) {
	if c.Redis.Address == "" {
		if c.Redis.Username != "" || c.Redis.PasswordFile != "" || c.Redis.Master != "" || len(c.Redis.More) > 0 {
			f.bad("redis", "redis says more but has no address", "add redis.address")
		}
		return
	}
	f.hostPort("redis.address", c.Redis.Address, "127.0.0.1:6379")
	for i, a := range c.Redis.More {
		f.hostPort(fmt.Sprintf("redis.more.%d", i), a, "127.0.0.1:6379")
	}
	switch {
	case c.Redis.Master != "" && c.Redis.Cluster:
		f.bad("redis.cluster", "redis is a cluster and has a master that sentinels know", "leave one out")
	case len(c.Redis.More) > 0 && c.Redis.Master == "" && !c.Redis.Cluster:
		f.bad("redis.more", "redis has several addresses and is no cluster", "cluster: true, or the name of the master that these sentinels know")
	case c.Redis.Cluster && c.Redis.Database != 0:
		f.bad("redis.database", "a cluster has database 0 only", "leave it out")
	}
	if c.Redis.Database < 0 {
		f.bad("redis.database", "redis.database is below 0", "0 where the server has no other")
	}
	if c.Policy.File != "" {
		f.bad("policy.file", "the device policy is in Redis and in a file", "leave one out")
	}
}

// checkFiles reads what the main file names beside routing and policy files.
func (c *config) checkFiles() file.Problems {
	f := &findings{doc: c.doc}
	if store, err := c.policyStore(); err != nil {
		f.bad("redis.password_file", err.Error(), "a file that holds nothing else, readable for the hub's user")
	} else if store != nil && c.Policy.Space != "" {
		if err := store.Check(); err != nil {
			f.bad("policy.space", err.Error(), "up to 64 letters, digits, dots, dashes and underscores")
		}
	}
	if key, err := c.queueSecrets(); err != nil {
		f.bad(key, err.Error(), "a file that holds nothing else, readable for the hub's user")
	}
	if c.Clearing.PostgresFile != "" {
		if _, err := c.secretText(c.Clearing.PostgresFile, "the connection string of PostgreSQL"); err != nil {
			f.bad("clearing.postgres_file", err.Error(), "a file that holds nothing else, readable for the hub's user")
		}
	}
	if c.FTicks.KeyFile != "" {
		if _, err := c.secretText(c.FTicks.KeyFile, "the key of F-Ticks"); err != nil {
			f.bad("fticks.key_file", err.Error(), "a file that holds nothing else, readable for the hub's user")
		}
	}
	if c.Privacy.KeyFile != "" {
		if _, err := c.identityKey(false); err != nil {
			f.bad("privacy.key_file", err.Error(), "at least 16 random octets; without the key one is made beside the spool")
		}
	}
	return f.ps
}
