package main

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"time"

	"github.com/roamgate/roamgate/accounting/queue"
	"github.com/roamgate/roamgate/realm/file"
)

// check finds what is well formed and still wrong.
func (c *config) check() file.Problems {
	f := &findings{doc: c.doc}
	c.checkAddresses(f)
	c.checkLimits(f)
	c.checkRedis(f)
	f.oneOf("log.format", c.Log.Format, "json", "console")
	f.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	if _, err := queue.ParseTrim(c.Queue.Trim); err != nil {
		f.bad("queue.trim", err.Error(), "auto, delivered or watermark")
	}
	if !nodeName.MatchString(c.Queue.Node) {
		f.bad("queue.node", "queue.node is part of the queue's name and has something else than letters, digits, dots, dashes and underscores in it",
			"give this hub a name of up to 64 of these")
	}
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

func (c *config) checkAddresses(f *findings) {
	used := map[netip.AddrPort]string{}
	once := func(key string, as []netip.AddrPort) {
		for i, a := range as {
			key := fmt.Sprintf("%s.%d", key, i)
			if first, twice := used[a]; twice && a.Port() != 0 {
				f.bad(key, fmt.Sprintf("%s is listened on twice", a), "it stands at "+first+" already")
			}
			used[a] = f.doc.Pos(key).String()
		}
	}
	once("listen.auth", c.Listen.Auth)
	once("listen.acct", c.Listen.Acct)
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
	between := func(key string, v, low, high time.Duration, hint string) {
		if v != 0 && (v < low || v > high) {
			f.bad(key, fmt.Sprintf("%s %s is out of range", key, v), hint)
		}
	}
	between("duplicates.keep", c.Duplicates.Keep, 5*time.Second, 30*time.Second, "5s to 30s (RFC 5080 section 2.2.2)")
	between("routing.poll", c.Routing.Poll, 10*time.Millisecond, time.Hour, "10ms to 1h")
	between("policy.budget", c.Policy.Budget, 100*time.Microsecond, time.Second, "100us to 1s: a parked request waits for it")
	between("spool.keep", c.Spool.Keep, time.Minute, 10*365*24*time.Hour, "at least 1m")
}

func (c *config) checkRedis(f *findings) {
	if c.Redis.Address == "" {
		if c.Redis.Username != "" || c.Redis.PasswordFile != "" {
			f.bad("redis", "redis has a user or a password but no address", "add redis.address")
		}
		return
	}
	if _, _, err := net.SplitHostPort(c.Redis.Address); err != nil {
		f.bad("redis.address", fmt.Sprintf("redis.address %q is not host:port", c.Redis.Address), "such as 127.0.0.1:6379")
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
	} else if store != nil {
		if err := store.Check(); err != nil {
			f.bad("policy.space", err.Error(), "up to 64 letters, digits, dots, dashes and underscores")
		}
	}
	if c.Privacy.KeyFile != "" {
		if _, err := c.identityKey(false); err != nil {
			f.bad("privacy.key_file", err.Error(), "at least 16 random octets; without the key one is made beside the spool")
		}
	}
	return f.ps
}
