package radsecproxy

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/migrate"
)

// Config is a radsecproxy.conf that was read. It is not changed once it is
// there.
type Config struct {
	path     string
	blocks   []block
	clients  []*client
	servers  []*server
	named    map[string]*server // by folded name, the first of each
	realms   []*realmConf
	rewrites map[string]*rewrite // by name, the first of each
	tls      map[string]*block
	main     block // the lines outside of all blocks
}

// The transports.
const (
	udp  = "udp"
	tcp  = "tcp"
	tls  = "tls"
	dtls = "dtls"
)

// secured are the transports over TLS, with the secrets that they have by
// default.
var secured = map[string]string{tls: "radsec", dtls: "radius/dtls"}

type client struct {
	*block
	transport string
	hosts     []host
	secret    []byte
	in, out   *rewrite
	user      *modify // rewriteAttribute
}

type server struct {
	*block
	transport string
	hosts     []host
	secret    []byte
	in, out   *rewrite
}

type realmConf struct {
	*block
	expr    *migrate.ERE
	pattern string // of expr
	exact   string // a realm that is only a name, folded
	star    bool   // *
	servers []*server
	acct    []*server
	dead    string // why the original leaves the realm out, or never comes to it
}

// host is an address, a prefix or a name, with a port.
type host struct {
	pos  realm.Pos
	name string
	addr netip.Addr // invalid: name is to be resolved
	bits int        // of a prefix, -1: none
	port string
}

// Parse reads a configuration and all that it includes. What the original
// would refuse is a *migrate.Refusal.
func Parse(files Files, path string) (*Config, error) {
	blocks, err := parse(files, path)
	if err != nil {
		return nil, err
	}
	c := &Config{path: path, blocks: blocks, named: make(map[string]*server), rewrites: make(map[string]*rewrite), tls: make(map[string]*block)}
	for i := range c.blocks {
		b := &c.blocks[i]
		var err error
		switch b.kind {
		case mainBlock:
			c.main.opts = append(c.main.opts, b.opts...)
		case clientBlock:
			err = c.client(b)
		case serverBlock:
			err = c.server(b)
		case realmBlock:
			c.realm(b)
		case tlsBlock:
			err = c.tlsContext(b)
		case rewriteBlock:
			err = c.rewrite(b)
		}
		if err != nil {
			return nil, err
		}
	}
	return c, c.check()
}

// check looks at what the original looks at in the end.
func (c *Config) check() error {
	pos := realm.Pos{File: c.path, Line: 1}
	if o := c.main.get("loglevel"); o != nil && (o.n < 1 || o.n > 5) {
		return migrate.Refuse(o.pos, "value of option LogLevel is %d, must be 1, 2, 3, 4 or 5", o.n)
	}
	if o := c.main.get("logmac"); o != nil {
		keyed, ok := macModes[strings.ToLower(o.val)]
		if !ok {
			return migrate.Refuse(o.pos, "invalid LogMAC value: %s", o.val)
		}
		if keyed && c.main.get("logkey") == nil {
			return migrate.Refuse(o.pos, "LogMAC %s requires LogKey to be set", o.val)
		}
	}
	if err := ttlRange(&c.main); err != nil {
		return err
	}
	if o := c.main.get("ttlattribute"); o != nil {
		if _, ok := ttlAttribute(o.val); !ok {
			return migrate.Refuse(o.pos, "invalid TTLAttribute value %s", o.val)
		}
	}
	if err := c.checkFTicks(); err != nil {
		return err
	}
	switch {
	case len(c.clients) == 0:
		return migrate.Refuse(pos, "No clients configured, nothing to do")
	case !c.anyRealm():
		return migrate.Refuse(pos, "No realms configured, nothing to do")
	}
	return nil
}

func (c *Config) anyRealm() bool {
	for _, r := range c.realms {
		if r.expr != nil {
			return true
		}
	}
	return false
}

// macModes are the ways to show a Calling-Station-Id, and whether each needs a
// key.
var macModes = map[string]bool{
	"static": false, "original": false, "vendorhashed": false, "vendorkeyhashed": true, "fullyhashed": false, "fullykeyhashed": true,
}

func (c *Config) checkFTicks() error {
	reporting, mac := c.main.get("fticksreporting"), c.main.get("fticksmac")
	on := false
	if reporting != nil {
		switch strings.ToLower(reporting.val) {
		case "none":
		case "basic", "full":
			on = true
		default:
			return migrate.Refuse(reporting.pos, "invalid FTicksReporting value: %s", reporting.val)
		}
	}
	keyed := true
	if mac != nil {
		var ok bool
		if keyed, ok = macModes[strings.ToLower(mac.val)]; !ok {
			return migrate.Refuse(mac.pos, "invalid FTicksMAC value: %s", mac.val)
		}
	}
	if key := c.main.get("ftickskey"); key != nil && !keyed {
		return migrate.Refuse(key.pos, "FTicksKey not used, at which radsecproxy ends")
	}
	if on && keyed && c.main.get("ftickskey") == nil {
		return migrate.Refuse(reporting.pos, "FTicksMAC values VendorKeyHashed and FullyKeyHashed require an FTicksKey")
	}
	return nil
}

func ttlRange(b *block) error {
	if o := b.get("addttl"); o != nil && (o.n < 1 || o.n > 255) {
		return migrate.Refuse(o.pos, "value of option AddTTL is %d, must be 1-255", o.n)
	}
	return nil
}

// ttlAttribute reads a number, or vendor:number.
func ttlAttribute(s string) (text string, ok bool) {
	vendor, sub, isVendor := strings.Cut(s, ":")
	v := atoi(vendor)
	if !isVendor {
		return strconv.Itoa(v), v > 0 && v < 256
	}
	n := atoi(sub)
	return strconv.Itoa(v) + ":" + strconv.Itoa(n), v > 0 && n > 0 && n < 256
}

// atoi reads the digits that a text begins with, as the C library does.
func atoi(s string) int {
	s = strings.TrimLeft(s, " \t")
	sign := 1
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	n := 0
	for i := 0; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		if n = n*10 + int(s[i]-'0'); n > 1<<31-1 {
			return sign * (1<<31 - 1)
		}
	}
	return sign * n
}

// transport reads the type of a peer and what hangs on it.
func (c *Config) transport(b *block) (string, error) {
	o := b.get("type")
	if o == nil {
		return "", migrate.Refuse(b.pos, "error in block %s %s, option type missing", b.kind, b.name)
	}
	kind := strings.ToLower(o.val)
	switch kind {
	case udp, tcp:
		return kind, nil
	case tls, dtls:
	default:
		return "", migrate.Refuse(o.pos, "error in block %s %s, unknown transport %s", b.kind, b.name, o.val)
	}
	if b.get("pskkey") != nil {
		return kind, nil
	}
	context := b.text("tls")
	if context != "" {
		if c.tls[context] == nil {
			return "", migrate.Refuse(b.get("tls").pos, "error in block %s %s, tls context not defined", b.kind, b.name)
		}
		return kind, nil
	}
	own := map[string]string{clientBlock: "defaultClient", serverBlock: "defaultServer"}[b.kind]
	if c.tls[own] == nil && c.tls["default"] == nil {
		return "", migrate.Refuse(b.pos, "error in block %s %s, tls context not defined", b.kind, b.name)
	}
	return kind, nil
}

func (c *Config) families(b *block) error {
	for _, x := range []*block{&c.main, b} {
		if v4, v6 := x.get("ipv4only"), x.get("ipv6only"); v4 != nil && v6 != nil && v4.on && v6.on {
			return migrate.Refuse(v6.pos, "error in block %s %s, at most one of IPv4Only and IPv6Only can be enabled", b.kind, b.name)
		}
	}
	return nil
}

// hosts reads where a peer is: its host lines, or its name.
func hosts(b *block, port string, prefixes bool) (out []host, err error) {
	lines := b.all("host")
	if len(lines) == 0 {
		lines = []*option{{pos: b.pos, val: b.name}}
	}
	for _, o := range lines {
		h, text := parseHost(o.val, port, prefixes)
		if text != "" {
			return nil, migrate.Refuse(o.pos, "error in block %s %s, failed to parse %s: %s", b.kind, b.name, o.val, text)
		}
		h.pos = o.pos
		out = append(out, h)
	}
	return out, nil
}

// parseHost reads address, name or prefix with an optional port; text says what
// is wrong.
func parseHost(s, port string, prefixes bool) (h host, text string) {
	h = host{port: port, bits: -1}
	rest := s
	if after, ok := strings.CutPrefix(s, "["); ok {
		name, behind, ok := strings.Cut(after, "]")
		if !ok {
			return h, "no ] matching initial ["
		}
		if behind != "" && !strings.ContainsAny(behind[:1], ":/ \t") {
			return h, "unexpected character after ]"
		}
		h.name, rest = name, behind
	} else {
		end := strings.IndexAny(s, ":/ \t")
		if end < 0 {
			end = len(s)
		}
		h.name, rest = s[:end], s[end:]
	}
	if h.name == "" {
		return h, "missing host/address"
	}
	if after, ok := strings.CutPrefix(rest, ":"); ok {
		if h.port, _, _ = strings.Cut(after, " "); h.port == "" {
			return h, "syntax error, : but no following port"
		}
		if strings.Contains(h.port, ":") {
			return h, "an IPv6 address stands in brackets"
		}
	}
	if a, err := netip.ParseAddr(h.name); err == nil && a.Zone() == "" {
		h.addr = a
	}
	if _, after, ok := strings.Cut(s, "/"); ok {
		n, err := strconv.Atoi(after)
		switch {
		case !prefixes:
			return h, "prefix not allowed here"
		case after == "":
			return h, "prefix length must be specified after the /"
		case err != nil || n < 0 || n > 128 || strings.ContainsAny(after, "+-"):
			return h, "not a valid prefix length"
		case !h.addr.IsValid():
			return h, "a prefix has an address"
		case h.addr.Is4() && n > 32:
			return h, "prefix length must be <= 32"
		}
		h.bits = n
	}
	return h, ""
}

func (c *Config) client(b *block) error {
	kind, err := c.transport(b)
	if err != nil {
		return err
	}
	p := &client{block: b, transport: kind}
	if err := c.families(b); err != nil {
		return err
	}
	if o := b.get("duplicateinterval"); o != nil && (o.n < 0 || o.n > 255) {
		return migrate.Refuse(o.pos, "error in block client %s, value of option DuplicateInterval is %d, must be 0-255", b.name, o.n)
	}
	if err := ttlRange(b); err != nil {
		return err
	}
	if o := b.get("rewriteattribute"); o != nil {
		if p.user = parseModify(o.val); p.user == nil {
			return migrate.Refuse(o.pos, "error in block client %s, invalid RewriteAttributeValue", b.name)
		}
		p.user.pos = o.pos
	}
	p.in, p.out = c.rewriteOf(b, "defaultClient")
	if p.hosts, err = hosts(b, "1812", true); err != nil {
		return err
	}
	if p.secret, err = secret(b, kind); err != nil {
		return err
	}
	c.clients = append(c.clients, p)
	return nil
}

// secret reads the shared secret, in which %XX stands for an octet.
func secret(b *block, transport string) ([]byte, error) {
	if o := b.get("secret"); o != nil {
		return unescape(o.val, true), nil
	}
	if s := secured[transport]; s != "" {
		return []byte(s), nil
	}
	return nil, migrate.Refuse(b.pos, "error in block %s %s, secret must be specified for transport type %s", b.kind, b.name, transport)
}

func (c *Config) server(b *block) error {
	kind, err := c.transport(b)
	if err != nil {
		return err
	}
	s := &server{block: b, transport: kind}
	if err := c.families(b); err != nil {
		return err
	}
	for name, top := range map[string][2]int64{"retryinterval": {1, 60}, "retrycount": {0, 10}} {
		if o := b.get(name); o != nil && (o.n < top[0] || o.n > top[1]) {
			return migrate.Refuse(o.pos, "error in block server %s, value of option %s is %d, must be %d-%d", b.name, o.word, o.n, top[0], top[1])
		}
	}
	if err := ttlRange(b); err != nil {
		return err
	}
	if o := b.get("statusserver"); o != nil {
		switch strings.ToLower(o.val) {
		case "on", "off", "minimal", "auto":
		default:
			return migrate.Refuse(o.pos, "error in block server %s, invalid StatusServer value: %s", b.name, o.val)
		}
	}
	s.in, s.out = c.rewriteOf(b, "defaultServer")
	port := "1812"
	if secured[kind] != "" {
		port = "2083"
	}
	if p := b.text("port"); p != "" {
		port = p
	}
	if s.hosts, err = hosts(b, port, false); err != nil {
		return err
	}
	if s.secret, err = secret(b, kind); err != nil {
		return err
	}
	c.servers = append(c.servers, s)
	if key := strings.ToLower(s.name); c.named[key] == nil {
		c.named[key] = s
	}
	return nil
}

// rewriteOf returns the rewrite blocks of a peer. One that does not exist is
// none to 1.9.2.
func (c *Config) rewriteOf(b *block, otherwise string) (in, out *rewrite) {
	name := b.text("rewritein")
	if name == "" {
		name = b.text("rewrite")
	}
	if name != "" {
		in = c.rewrites[name]
	} else if in = c.rewrites[otherwise]; in == nil {
		in = c.rewrites["default"]
	}
	return in, c.rewrites[b.text("rewriteout")]
}

func (c *Config) tlsContext(b *block) error {
	switch {
	case b.get("certificatefile") == nil || b.get("certificatekeyfile") == nil:
		return migrate.Refuse(b.pos, "TLSCertificateFile and TLSCertificateKeyFile must be specified in block %s", b.name)
	case b.get("cacertificatefile") == nil && b.get("cacertificatepath") == nil:
		return migrate.Refuse(b.pos, "CA Certificate file or path need to be specified in block %s", b.name)
	}
	if o := b.get("cacheexpiry"); o != nil && o.n < 0 {
		return migrate.Refuse(o.pos, "error in block %s, value of option CacheExpiry is %d, may not be negative", b.name, o.n)
	}
	for _, name := range []string{"tlsversion", "dtlsversion"} {
		if o := b.get(name); o != nil && !tlsVersion(o.val) {
			return migrate.Refuse(o.pos, "error in block %s, invalid %s %s", b.name, o.word, o.val)
		}
	}
	if c.tls[b.name] == nil {
		c.tls[b.name] = b
	}
	return nil
}

func tlsVersion(s string) bool {
	low, high, _ := strings.Cut(s, ":")
	for _, v := range []string{low, high} {
		switch strings.ToUpper(v) {
		case "", "SSL3", "TLS1", "TLS1_1", "TLS1_2", "TLS1_3", "DTLS1", "DTLS1_1", "DTLS1_2":
		default:
			return false
		}
	}
	return true
}

// realm compiles a realm. One that cannot be is left out by the original, which
// says so in its log and goes on.
func (c *Config) realm(b *block) {
	r := &realmConf{block: b}
	c.realms = append(c.realms, r)
	switch {
	case b.name == "*":
		r.star, r.pattern = true, ".*"
	case strings.HasPrefix(b.name, "/"):
		r.pattern = strings.TrimSuffix(b.name[1:], "/")
		if len(b.name) == 1 {
			r.dead = "an expression without a text"
			return
		}
	default:
		r.pattern = "@" + strings.ReplaceAll(b.name, ".", `\.`) + "$"
		if isName(b.name) {
			r.exact = strings.ToLower(b.name)
		}
	}
	expr, err := migrate.ParseERE(r.pattern)
	if err != nil {
		r.dead = err.Error()
		return
	}
	if len(b.text("replymessage")) > 253 {
		r.dead = "ReplyMessage can be at most 253 bytes"
		return
	}
	var unknown string
	if r.servers, unknown = c.find(b.all("server")); unknown == "" {
		r.acct, unknown = c.find(b.all("accountingserver"))
	}
	if unknown != "" {
		r.dead = "no server named " + unknown + " stands before it"
		return
	}
	r.expr = expr
}

func (c *Config) find(lines []*option) (out []*server, unknown string) {
	for _, o := range lines {
		s := c.named[strings.ToLower(o.val)]
		if s == nil {
			return nil, o.val
		}
		out = append(out, s)
	}
	return out, ""
}

// isName reports whether a realm is one that a route can have by its name.
func isName(s string) bool {
	if len(s) > 252 || !strings.Contains(s, ".") {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i] | 0x20
			if (c < 'a' || c > 'z') && (label[i] < '0' || label[i] > '9') && label[i] != '-' {
				return false
			}
		}
	}
	return true
}
