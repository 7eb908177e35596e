package interop

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"

	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/realm/migrate"
	"github.com/roamgate/roamgate/realm/migrate/radsecproxy"
	"github.com/roamgate/roamgate/test/peer"
)

// twins are a radsecproxy that runs from its own files, and a hub that runs
// from what was imported of them, in front of the same homes.
type twins struct {
	t     *testing.T
	net   string // 127.x.y: 1 the original, 2 the hub, 101 and up homes, 201 and up clients
	model *radsecproxy.Config
	old   *peer.Process
	dir   string // of the hub

	ticks int // lines that the hub owes

	mu   sync.Mutex
	seen map[uint32]heard // by NAS-Port
}

// heard is a request as a home got it.
type heard struct{ home, user string }

// outcome is what a client hears, 0: nothing, and which home heard of it.
type outcome struct {
	code radius.Code
	heard
}

// thousand are names of realms as the files have them and as devices spoil
// them, with users good, odd and hostile.
func thousand(realms []string) []string {
	users := []string{
		"alice", "Bob.Miller", "0262011234567890", "2629912345678901", "a b", "x@y", `CORP\carol`, "test-17", "host/pc-1.corp",
		"home.example!erin", "m\u00fcller", "\xff\xfe", "frank%corp", "tab\tname", strings.Repeat("u", 150), "anonymous", "1", "-", "a#RESULT=OK",
	}
	for n := range 10 {
		users = append(users, fmt.Sprintf("user%d", n))
	}
	spoil := []func(string) string{
		func(r string) string { return r },
		strings.ToUpper,
		func(r string) string { return "sub." + r },
		func(r string) string { return r + "." },
		func(r string) string { return r + "x" },
		func(r string) string { return "x" + r },
		func(r string) string { return " " + r },
		func(r string) string { return strings.ReplaceAll(r, ".", "..") },
		func(r string) string { return strings.ReplaceAll(r, ".", "-") },
		func(r string) string { return strings.Replace(r, "k", "\u212a", 1) }, // the Kelvin sign folds to a k
		func(r string) string { return r + "\n" },
	}
	var all []string
	have := map[string]bool{}
	add := func(name string) {
		if name != "" && len(name) <= 253 && !have[name] {
			have[name] = true
			all = append(all, name)
		}
	}
	for _, u := range users {
		add(u)
		add(u + "@")
		add("@" + u)
	}
	for n := 0; len(all) < 1000; n++ {
		u := users[n%len(users)]
		r := realms[n/len(users)%len(realms)]
		s := spoil[n/(len(realms)*len(users))%len(spoil)]
		add(u + "@" + s(r))
	}
	return all
}

// TestImportRadsecproxy: a thousand names get the same decision, home and
// User-Name from the original and from the hub, but for the rules by which the
// hub differs; the model holds against the original; and the hub's F-Ticks are
// the original's.
func TestImportRadsecproxy(t *testing.T) {
	t.Parallel()
	peer.Need(t, "radsecproxy")
	for name, c := range map[string]struct {
		secret string // of the client at 201
		realms []string
	}{
		"institution": {"wireless-controller-secret", []string{"uni.example", "cs.uni.example", "staff.uni.example", "nowhere.uni.example",
			"partner.kit.test", "gmail.com", "wlan.mnc001.mcc262.3gppnetwork.org", "yahoo.co.uk", "local"}},
		"national": {"delft-institution-secret", []string{"delft.nl", "delft-hospital.nl", "a.delft-hospital.nl", "leiden.nl", "liacs.leiden.nl",
			"old-leiden.nl", "quiet.nl", "utrecht.nl", "kth.test", "leiden"}},
		"openroaming": {"venue-one-shared-secret", []string{"members.anp.example", "wlan.mnc001.mcc262.3gppnetwork.org",
			"nai.epc.mnc010.mcc262.3gppnetwork.org", "3gppnetwork.org", "partner.test", "local"}},
		"mvno": {"meters of the mvno", []string{"water.meters.example", "gas.meters.example", "a.fleet.meters.example", "fleet.meters.example", "campus",
			"campus.example", "stopped.example", "retired.example", "elsewhere.test"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tw := startTwins(t, name, c.secret)
			names := thousand(c.realms)
			rules := tw.compare(names, c.secret, 201)
			t.Logf("%s: of %d names by rule %v", name, len(names), rules)
			assert.Greater(t, rules[""], 300, "a test of nothing but exceptions")
			tw.account(names, c.secret, 201)
			tw.sameTicks()
			if name == "national" { // a realm that is replaced before it is looked up
				rules := tw.compare([]string{"bob@leiden", "x@y@Leiden", "bob@leiden.nl", "bob@delft.nl", "bob"}, "leiden-institution-secret", 202)
				assert.Equal(t, map[string]int{"": 5}, rules)
			}
		})
	}
}

func startTwins(t *testing.T, name, secret string) *twins {
	t.Helper()
	tw := &twins{t: t, net: ownNet(t), dir: filepath.Join(t.TempDir(), "hub"), seen: map[uint32]heard{}}
	conf := tw.original(name)
	var err error
	tw.model, err = radsecproxy.Parse(radsecproxy.Disk{}, conf)
	require.NoError(t, err)
	tw.listenHomes(conf)
	// -f: stay in the foreground and log to standard error.
	tw.old = peer.Start(t, "radsecproxy", exec.Command("radsecproxy", "-f", "-c", conf))
	tw.hub(conf)
	port := 1812
	if name == "mvno" {
		port = 11812
	}
	for host := 1; host <= 2; host++ {
		p := radius.New(radius.CodeStatusServer, []byte(secret))
		require.NoError(t, peer.AddMessageAuthenticator(p))
		peer.Eventually(t, 60*time.Second, "it answers", func() bool {
			reply, err := tw.send(host, port, 201, p, 300*time.Millisecond)
			return err == nil && reply != nil
		})
	}
	return tw
}

// ownNet is a /24 of loopback that no other test process uses.
func ownNet(t *testing.T) string {
	t.Helper()
	for i := range 1000 {
		n := fmt.Sprintf("127.%d.%d", 100+i%100, (os.Getpid()+i)%250+1)
		lock, err := net.Listen("unix", "@roamgate-test-net-"+n)
		if err != nil {
			continue
		}
		t.Cleanup(func() { _ = lock.Close() })
		return n
	}
	t.Fatal("no free loopback network in 1000 tries")
	return ""
}

// original copies a vector and puts it into our network: nothing but addresses
// is replaced.
func (tw *twins) original(name string) string {
	tw.t.Helper()
	dir := tw.t.TempDir()
	from := "../vectors/migrate/radsecproxy/" + name
	require.NoError(tw.t, os.CopyFS(dir, os.DirFS(from)))
	cert := tw.certificate(dir)
	change := strings.NewReplacer("127.0.3.", tw.net+".10", "127.0.2.", tw.net+".20", "127.0.1.1:", tw.net+".1:",
		"SourceUDP 127.0.1.1", "SourceUDP "+tw.net+".1", "ListenUDP *:", "ListenUDP "+tw.net+".1:", "ListenTLS *:", "ListenTLS "+tw.net+".1:",
		"host etlr2.eduroam.example", "host "+tw.net+".250", "/run/radsecproxy/", dir+"/")
	files := regexp.MustCompile(`/etc/radsecproxy/\S+\.(pem|crt|key)`)
	require.NoError(tw.t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".conf") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		out := files.ReplaceAllStringFunc(change.Replace(string(text)), func(s string) string {
			if strings.HasSuffix(s, ".key") {
				return cert.key
			}
			return cert.cert
		})
		return os.WriteFile(path, []byte(out), 0o600)
	}))
	return filepath.Join(dir, "radsecproxy.conf")
}

type pair struct{ cert, key string }

// certificate makes what the tls blocks name: nobody connects.
func (tw *twins) certificate(dir string) pair {
	tw.t.Helper()
	p := pair{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	out, err := exec.Command("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days", "2",
		"-keyout", p.key, "-out", p.cert).CombinedOutput()
	require.NoError(tw.t, err, "%s", out)
	return p
}

var serverBlock = regexp.MustCompile(`(?s)\nserver \S+ \{\n(.*?)\n\}`)

// listenHomes listens where the servers of the files are.
func (tw *twins) listenHomes(conf string) {
	tw.t.Helper()
	done := map[string]bool{}
	require.NoError(tw.t, filepath.WalkDir(filepath.Dir(conf), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".conf") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, block := range serverBlock.FindAllStringSubmatch("\n"+string(text), -1) {
			value := func(name, otherwise string) string {
				m := regexp.MustCompile(`(?m)^\s*` + name + `\s+(\S+)$`).FindStringSubmatch(block[1])
				if m == nil {
					return otherwise
				}
				return m[1]
			}
			at := net.JoinHostPort(value("host", ""), value("port", "1812"))
			if value("type", "") == "udp" && !done[at] {
				done[at] = true
				tw.listen(at, value("secret", ""))
			}
		}
		return nil
	}))
	require.NotEmpty(tw.t, done)
}

func (tw *twins) listen(at, secret string) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(at)))
	require.NoError(tw.t, err)
	done := make(chan struct{})
	tw.t.Cleanup(func() {
		_ = c.Close()
		<-done
	})
	go func() {
		defer close(done)
		buf := make([]byte, radius.MaxPacketLength)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return // closed
			}
			p, err := radius.Parse(buf[:n], []byte(secret))
			if err != nil {
				continue
			}
			if p.Code != radius.CodeStatusServer {
				tw.mu.Lock()
				tw.seen[uint32(rfc2865.NASPort_Get(p))] = heard{at, string(p.Get(rfc2865.UserName_Type))}
				tw.mu.Unlock()
			}
			if b, err := peer.Answer(p); err == nil {
				_, _ = c.WriteToUDPAddrPort(b, from)
			}
		}
	}()
}

// hub imports the files with the command, checks the result, and starts a hub
// from it, on another address than the original's.
func (tw *twins) hub(conf string) {
	tw.t.Helper()
	bin := peer.Roamgate(tw.t)
	run := func(args ...string) {
		out, err := exec.Command(bin, args...).CombinedOutput()
		require.NoError(tw.t, err, "%s", out)
	}
	run("import", "radsecproxy", conf, "--to", tw.dir)
	path := filepath.Join(tw.dir, "roamgate.yaml")
	text, err := os.ReadFile(path)
	require.NoError(tw.t, err)
	out := regexp.MustCompile(`(?m)^source:\n.*\n`).ReplaceAllString(string(text), "")
	out = regexp.MustCompile(`(?m)^  facility: .*\n`).ReplaceAllString(out, "")
	out = strings.ReplaceAll(out, `"unix:/dev/log"`, `"file:ticks.log"`)
	out = strings.ReplaceAll(out, tw.net+".1:", tw.net+".2:") +
		fmt.Sprintf("\nreject_delay: 0s\nadmin: {listen: %q}\nspool: {min_free: 1MiB}\nqueue: {node: hub}\nshards: 2\n", peer.Port(tw.t))
	require.NoError(tw.t, os.WriteFile(path, []byte(out), 0o600))
	run("check", "--config", path)
	peer.Start(tw.t, "roamgate", exec.Command(bin, "serve", "--config", path))
}

// send sends one request as a client, again while nothing comes; nil is no
// answer.
func (tw *twins) send(host, port, from int, p *radius.Packet, limit time.Duration) (*radius.Packet, error) {
	c, b, err := tw.open(host, port, from, p)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	buf := make([]byte, radius.MaxPacketLength)
	for try := 0; ; try++ {
		_ = c.SetReadDeadline(time.Now().Add(limit))
		n, err := c.Read(buf)
		switch {
		case err == nil && radius.IsAuthenticResponse(buf[:n], b, p.Secret):
			return radius.Parse(buf[:n], p.Secret)
		case err != nil && try >= 3:
			return nil, err
		}
		_, _ = c.Write(b)
	}
}

// open sends a request once.
func (tw *twins) open(host, port, from int, p *radius.Packet) (*net.UDPConn, []byte, error) {
	b, err := p.Encode()
	if err != nil {
		return nil, nil, err
	}
	at := func(host, port int) *net.UDPAddr {
		return net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("%s.%d", tw.net, host)), uint16(port)))
	}
	c, err := net.DialUDP("udp", at(from, 0), at(host, port))
	if err != nil {
		return nil, nil, err
	}
	_, err = c.Write(b)
	return c, b, err
}

func accessRequest(secret, name string, i int) *radius.Packet {
	p := radius.New(radius.CodeAccessRequest, []byte(secret))
	p.Identifier = byte(i)
	_ = rfc2865.UserName_SetString(p, name)
	_ = rfc2865.UserPassword_SetString(p, "password")
	_ = rfc2865.NASPort_Set(p, rfc2865.NASPort(i))
	_ = rfc2865.CallingStationID_SetString(p, fmt.Sprintf("00-11-22-33-%02X-%02X", i>>8, i&255))
	_ = peer.AddMessageAuthenticator(p)
	return p
}

// all sends a request for each name that is asked about. To one that is silent
// nothing may come: its socket is looked at when all others have their answers.
func (tw *twins) all(host, port, from int, ask []int, silent func(i int) bool, request func(i int) *radius.Packet) map[int]outcome {
	tw.t.Helper()
	tw.mu.Lock()
	clear(tw.seen)
	tw.mu.Unlock()
	var quiet sync.Map
	var mu sync.Mutex
	got := make(map[int]outcome)
	work := make(chan int)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := range work {
				if silent(i) {
					c, _, err := tw.open(host, port, from, request(i))
					if assert.NoError(tw.t, err) {
						quiet.Store(i, c)
					}
					continue
				}
				reply, err := tw.send(host, port, from, request(i), 10*time.Second)
				if assert.NoError(tw.t, err, "request %d at %d", i, host) {
					mu.Lock()
					got[i] = outcome{code: reply.Code}
					mu.Unlock()
				}
			}
		})
	}
	for _, first := range []bool{true, false} { // the silent ones first
		for _, i := range ask {
			if silent(i) == first {
				work <- i
			}
		}
	}
	close(work)
	wg.Wait()
	quiet.Range(func(i, c any) bool {
		_ = c.(*net.UDPConn).SetReadDeadline(time.Now().Add(time.Millisecond))
		n, err := c.(*net.UDPConn).Read(make([]byte, radius.MaxPacketLength))
		assert.Error(tw.t, err, "request %d at %d is answered with %d octets", i, host, n)
		_ = c.(*net.UDPConn).Close()
		got[i.(int)] = outcome{}
		return true
	})
	tw.mu.Lock()
	defer tw.mu.Unlock()
	for i, o := range got {
		o.heard = tw.seen[uint32(i)]
		got[i] = o
	}
	return got
}

// malformed says that a name can be no network access identifier.
func malformed(name string) bool {
	switch _, _, why := nai.Split([]byte(name)); why {
	case nai.OK, nai.ManyAt, nai.Backslash, nai.Decorated, nai.NoDot:
		return false
	}
	return true
}

// compare asks both about names and counts them by the rule for a difference,
// "" for none.
func (tw *twins) compare(names []string, secret string, from int) map[string]int {
	tw.t.Helper()
	want := make([]migrate.Decision, len(names))
	var all, udp []int
	for i, n := range names {
		d, err := tw.model.Decide(migrate.Request{Name: n, Client: fmt.Sprintf("%s.%d", tw.net, from)})
		require.NoError(tw.t, err)
		want[i] = d
		all = append(all, i)
		if !tw.discovered(d) {
			udp = append(udp, i)
		}
	}
	request := func(i int) *radius.Packet { return accessRequest(secret, names[i], i) }
	port := tw.port()
	theirs := tw.all(1, port, from, udp, func(i int) bool { return want[i].Outcome == migrate.Silent }, request)
	ours := tw.all(2, port, from, all, func(int) bool { return false }, request)
	rules := map[string]int{}
	for i, n := range names {
		d, their, our := want[i], theirs[i], ours[i]
		if our.home != "" {
			tw.ticks++
		}
		rejected := our == outcome{code: radius.CodeAccessReject}
		if tw.discovered(d) { // nobody is found here, by neither
			assert.True(tw.t, rejected, "%q: the hub %v", n, our)
			rules[radsecproxy.RuleDiscovered]++
			continue
		}
		tw.holds(n, d, their)
		switch {
		case their == our:
			rules[""]++
		case rejected && their.code == 0:
			rules[radsecproxy.RuleSilence]++
		case rejected && malformed(n):
			rules[radsecproxy.RuleIdentifier]++
		default:
			assert.Fail(tw.t, "a decision that no rule has", "%q: the original %v, the hub %v (%s)", n, their, our, d.Why)
		}
	}
	return rules
}

// discovered says that the original would look for a server in the DNS.
func (tw *twins) discovered(d migrate.Decision) bool {
	return d.Outcome == migrate.Forwarded && d.Homes[0] == migrate.Discovered
}

func (tw *twins) port() int {
	if strings.Contains(tw.config(), ":11812") {
		return 11812
	}
	return 1812
}

func (tw *twins) config() string {
	text, err := os.ReadFile(filepath.Join(tw.dir, "roamgate.yaml"))
	require.NoError(tw.t, err)
	return string(text)
}

// holds compares the model of the original with the original.
func (tw *twins) holds(name string, d migrate.Decision, was outcome) {
	tw.t.Helper()
	want := outcome{}
	switch d.Outcome {
	case migrate.Forwarded:
		want = outcome{radius.CodeAccessAccept, heard{d.Homes[0], d.User}}
	case migrate.Rejected:
		want = outcome{code: radius.CodeAccessReject}
	}
	assert.Equal(tw.t, want, was, "%q: %s", name, d.Why)
}

// account sends records: those that the original forwards go to the same home,
// those that it ignores or answers itself are acknowledged by the hub.
func (tw *twins) account(names []string, secret string, from int) {
	tw.t.Helper()
	want := make(map[int]migrate.Decision)
	var ask, silent []int
	for i, n := range names {
		d, err := tw.model.Decide(migrate.Request{Name: n, Client: fmt.Sprintf("%s.%d", tw.net, from), Accounting: true})
		require.NoError(tw.t, err)
		want[i] = d
		switch {
		case malformed(n) || d.Outcome == migrate.Forwarded && tw.discovered(d):
		case d.Outcome == migrate.Silent && len(silent) < 40:
			silent = append(silent, i)
		case d.Outcome != migrate.Silent && len(ask) < 200:
			ask = append(ask, i)
		}
	}
	require.NotEmpty(tw.t, ask)
	request := func(i int) *radius.Packet {
		p := radius.New(radius.CodeAccountingRequest, []byte(secret))
		p.Identifier = byte(i)
		_ = rfc2865.UserName_SetString(p, names[i])
		_ = rfc2866.AcctStatusType_Set(p, rfc2866.AcctStatusType_Value_Start)
		_ = rfc2866.AcctSessionID_SetString(p, fmt.Sprintf("session-%d", i))
		_ = rfc2865.NASPort_Set(p, rfc2865.NASPort(i))
		return p
	}
	isSilent := func(i int) bool { return want[i].Outcome == migrate.Silent }
	theirs := tw.all(1, tw.port(), from, // it takes accounting at every port
		slices.Concat(ask, silent), isSilent, request)
	ours := tw.all(2, tw.port()+1, from, slices.Concat(ask, silent), func(int) bool { return false }, request)
	for _, i := range slices.Concat(ask, silent) {
		assert.Equal(tw.t, radius.CodeAccountingResponse, ours[i].code, "%q", names[i])
		assert.Equal(tw.t, isSilent(i), theirs[i].code == 0, "%q", names[i])
		if want[i].Outcome == migrate.Forwarded && ours[i].code != 0 {
			assert.Equal(tw.t, heard{want[i].Homes[0], want[i].User}, theirs[i].heard, "%q", names[i])
			assert.Equal(tw.t, theirs[i].heard, ours[i].heard, "%q", names[i])
		} else {
			assert.Empty(tw.t, ours[i].heard, "%q", names[i])
		}
	}
}

var tick = regexp.MustCompile(`F-TICKS/.*`)

// sameTicks compares the F-Ticks of both: each device has made one line in
// each, but for names that the hub rejects. A '#' of a device is the one
// difference that is wanted.
func (tw *twins) sameTicks() {
	tw.t.Helper()
	if !strings.Contains(tw.config(), "\nfticks:") {
		return
	}
	lines := func(text string) []string {
		all := tick.FindAllString(text, -1)
		slices.Sort(all)
		return all
	}
	require.Greater(tw.t, tw.ticks, 100)
	theirs := lines(tw.old.Output())
	var ours []string
	peer.Eventually(tw.t, time.Minute, "all lines are written", func() bool {
		text, err := os.ReadFile(filepath.Join(tw.dir, "ticks.log"))
		ours = lines(string(text))
		return err == nil && len(ours) >= tw.ticks
	})
	assert.Len(tw.t, ours, tw.ticks)
	for i := range ours {
		ours[i] = strings.ReplaceAll(ours[i], "%23", "#")
	}
	slices.Sort(ours)
	missing := func(a, b []string) (out []string) {
		for _, s := range a {
			if _, ok := slices.BinarySearch(b, s); !ok {
				out = append(out, s)
			}
		}
		return out
	}
	assert.Empty(tw.t, missing(ours, theirs), "lines that the original does not write")
	tw.t.Logf("%d lines of the original, %d of the hub", len(theirs), len(ours))
}
