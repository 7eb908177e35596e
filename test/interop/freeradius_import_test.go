package interop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
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
	"github.com/roamgate/roamgate/realm/migrate/freeradius"
	"github.com/roamgate/roamgate/test/peer"
)

// migrated is a FreeRADIUS that runs from its own files, and a hub that runs
// from what was imported of them, in front of the same homes.
type migrated struct {
	t      *testing.T
	net    string // 127.x.y, in the place of 192.0.2 of the files
	raddb  string
	hub    string // its directory
	bin    string
	model  *freeradius.Model
	secret string // of the client that asks

	mu   sync.Mutex
	seen map[uint32]arrived // by NAS-Port
}

// asker is the last octet of the client's address.
const asker = 200

// arrived is a request as a home got it.
type arrived struct {
	home string // its address and port
	user string
}

// identities are a thousand User-Names: realms as the files have them and as
// devices spoil them, with users good, odd and hostile.
func identities(realms []string) []string {
	users := []string{
		"alice", "Bob.Miller", "0262011234567890", "", "a b", "x@y", `CORP\carol`, `eng.campus.example\dave`, "host/pc-1.corp",
		"home.example!erin", "müller", "\xff\xfe", "a..b", "frank%corp", "tab\tname", strings.Repeat("u", 150), "anonymous", "1", "-", ".",
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
		r := realms[n%len(realms)]
		u := users[n/len(realms)%len(users)]
		s := spoil[n/(len(realms)*len(users))%len(spoil)]
		add(u + "@" + s(r))
		if n > 8*len(users)*len(realms) {
			add("user" + strconv.Itoa(n) + "@" + r)
		}
	}
	return all[:1000]
}

// TestImportFreeRADIUS: a thousand names get the same decision, home and
// User-Name from the original and from the hub, but for the rules by which the
// hub differs; and the model of the original holds against the original.
func TestImportFreeRADIUS(t *testing.T) {
	t.Parallel()
	peer.Need(t, "freeradius")
	for name, realms := range map[string][]string{
		"campus": {"eng.campus.example", "arts.campus.example", "hospital.example", "a.b.hospital.example", "x.partner.example",
			"partner.test", "corp", "staff.campus.example", "local", "null", "default", "unknown.example"},
		"mvno": {"wlan.mnc001.mcc262.3gppnetwork.org", "wlan.mnc002.mcc262.3gppnetwork.org", "nai.epc.mnc010.mcc262.3gppnetwork.org",
			"m.iot.mvno.example", "fleet.iot.mvno.example", "meters.mvno.example", "old.partner.example", "none", "NULL", "elsewhere.example"},
		"eduroam": {"university.example", "physics.university.example", "a.b.university.example", "gmail.com", "myabc.com", "mail.com",
			"wlan.mnc001.mcc262.3gppnetwork.org", "local", "far.away.example", "null"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := begin(t, name)
			names := identities(realms)
			theirs, ours := m.authenticate(1, names), m.authenticate(2, names)
			rules := map[string]int{}
			equal := 0
			for i, n := range names {
				d, err := m.model.Decide(migrate.Request{Name: n, Client: m.addr(asker).String()})
				require.NoError(t, err)
				m.holds(n, d, theirs[i])
				rule := m.same(n, d, theirs[i], ours[i])
				if rule == "" {
					equal++
					continue
				}
				rules[rule]++
			}
			t.Logf("%s: %d of %d equal, by rule %v", name, equal, len(names), rules)
			m.verify(names, equal, rules)
			m.account(names)
		})
	}
}

// begin starts both from one vector.
func begin(t *testing.T, name string) *migrated {
	t.Helper()
	m := &migrated{t: t, net: loopbackNet(t), raddb: t.TempDir(), hub: filepath.Join(t.TempDir(), "hub"), bin: peer.Roamgate(t), seen: map[uint32]arrived{}}
	raw, err := os.ReadFile("../vectors/migrate/freeradius/import/" + name + ".txt")
	require.NoError(t, err)
	text, _, _ := strings.Cut(string(raw), "-- want --\n")
	text = strings.NewReplacer("192.0.2.", m.net+".", "/etc/freeradius/3.0", m.raddb).Replace(text)
	unpackVector(t, text, m.raddb)
	require.NoError(t, os.WriteFile(filepath.Join(m.raddb, "dictionary"), nil, 0o600))
	tree, err := freeradius.Read(freeradius.Source{Dir: m.raddb})
	require.NoError(t, err)
	m.model, err = freeradius.Understand(tree)
	require.NoError(t, err)
	m.homes()
	m.client()

	peer.Start(t, "freeradius", exec.Command("freeradius", "-f", "-l", "stdout", "-d", m.raddb))
	m.start()
	m.ready(1)
	m.ready(2)
	return m
}

// loopbackNet is a /24 of loopback that no other test process uses.
func loopbackNet(t *testing.T) string {
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

func (m *migrated) addr(host int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("%s.%d", m.net, host))
}

// client finds the secret of who asks: the longest prefix counts.
func (m *migrated) client() {
	best := -1
	for _, c := range m.model.Clients {
		if c.Prefix.Contains(m.addr(asker)) && c.Prefix.Bits() > best {
			best, m.secret = c.Prefix.Bits(), c.Secret
		}
	}
	require.NotEmpty(m.t, m.secret)
}

// homes listens on every address that a home server has.
func (m *migrated) homes() {
	done := map[string]bool{}
	for _, s := range m.model.Servers {
		for k := range freeradius.CoA {
			at := s.Service(k)
			if !s.Does[k] || !s.Remote() || done[at.String()] {
				continue
			}
			done[at.String()] = true
			m.listen(netip.AddrPortFrom(at.Addr, at.Port), s.Secret)
		}
	}
}

func (m *migrated) listen(at netip.AddrPort, secret string) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	require.NoError(m.t, err)
	done := make(chan struct{})
	m.t.Cleanup(func() {
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
				m.mu.Lock()
				m.seen[uint32(rfc2865.NASPort_Get(p))] = arrived{at.String(), rfc2865.UserName_GetString(p)}
				m.mu.Unlock()
			}
			if b, err := peer.Answer(p); err == nil {
				_, _ = c.WriteToUDPAddrPort(b, from)
			}
		}
	}()
}

// start imports the files with the command, checks the result, and starts a hub
// from it, on another address than the original's.
func (m *migrated) start() {
	m.roamgate("import", "freeradius", m.raddb, "--to", m.hub)
	path := filepath.Join(m.hub, "roamgate.yaml")
	conf, err := os.ReadFile(path)
	require.NoError(m.t, err)
	admin := peer.Port(m.t)
	text := strings.ReplaceAll(string(conf), m.net+".1:", m.net+".2:") +
		fmt.Sprintf("\nreject_delay: 0s\nadmin: {listen: %q}\nspool: {min_free: 1MiB}\nqueue: {node: hub}\nshards: 2\n", admin)
	require.NoError(m.t, os.WriteFile(path, []byte(text), 0o600))
	m.roamgate("check", "--config", path)
	peer.Start(m.t, "roamgate", exec.Command(m.bin, "serve", "--config", path))
}

func (m *migrated) roamgate(args ...string) string {
	m.t.Helper()
	var errs bytes.Buffer
	cmd := exec.Command(m.bin, args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	require.NoError(m.t, err, "%s\n%s", errs.String(), out)
	return string(out)
}

// ready waits until an address answers.
func (m *migrated) ready(host int) {
	m.t.Helper()
	p := radius.New(radius.CodeStatusServer, []byte(m.secret))
	require.NoError(m.t, peer.AddMessageAuthenticator(p))
	require.Eventually(m.t, func() bool {
		_, err := m.ask(host, 1812, p, 300*time.Millisecond)
		return err == nil
	}, 60*time.Second, 50*time.Millisecond, "%s.%d does not answer", m.net, host)
}

// ask sends one request as the client, again while nothing comes.
func (m *migrated) ask(host int, port uint16, p *radius.Packet, limit time.Duration) (*radius.Packet, error) {
	b, err := p.Encode()
	if err != nil {
		return nil, err
	}
	c, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(m.addr(asker), 0)),
		net.UDPAddrFromAddrPort(netip.AddrPortFrom(m.addr(host), port)))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	buf := make([]byte, radius.MaxPacketLength)
	for try := 0; ; try++ {
		if _, err := c.Write(b); err != nil {
			return nil, err
		}
		_ = c.SetReadDeadline(time.Now().Add(limit))
		n, err := c.Read(buf)
		switch {
		case err == nil && radius.IsAuthenticResponse(buf[:n], b, p.Secret):
			return radius.Parse(buf[:n], p.Secret)
		case err != nil && try >= 3:
			return nil, err
		}
	}
}

// got is what a client hears, and which home heard of it.
type got struct {
	code radius.Code
	arrived
}

// authenticate asks about every name and gives the answers, in their order.
func (m *migrated) authenticate(host int, names []string) []got {
	return m.all(host, names, 1812, func(name string) *radius.Packet {
		p := radius.New(radius.CodeAccessRequest, []byte(m.secret))
		_ = rfc2865.UserName_SetString(p, name)
		_ = rfc2865.UserPassword_SetString(p, "password")
		return p
	})
}

func (m *migrated) all(host int, names []string, port uint16, request func(name string) *radius.Packet) []got {
	m.mu.Lock()
	clear(m.seen)
	m.mu.Unlock()
	answers := make([]got, len(names))
	work := make(chan int)
	var wg sync.WaitGroup
	for range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range work {
				p := request(names[i])
				p.Identifier = byte(i)
				_ = rfc2865.NASPort_Set(p, rfc2865.NASPort(i))
				if p.Code == radius.CodeAccessRequest {
					_ = peer.AddMessageAuthenticator(p)
				}
				reply, err := m.ask(host, port, p, 10*time.Second)
				if assert.NoError(m.t, err, "%q at %d", names[i], host) {
					answers[i].code = reply.Code
				}
			}
		}()
	}
	for i := range names {
		work <- i
	}
	close(work)
	wg.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range answers {
		answers[i].arrived = m.seen[uint32(i)]
	}
	return answers
}

// holds compares the model of the original with the original.
func (m *migrated) holds(name string, d migrate.Decision, was got) {
	m.t.Helper()
	if d.Outcome != migrate.Forwarded {
		assert.Empty(m.t, was.home, "%q: the model says %s (%s), the original sent it on", name, d.Outcome, d.Why)
		assert.Equal(m.t, radius.CodeAccessReject, was.code, "%q", name)
		return
	}
	assert.Contains(m.t, d.Homes, was.home, "%q: %s", name, d.Why)
	if d.Ordered {
		assert.Equal(m.t, d.Homes[0], was.home, "%q: %s", name, d.Why)
	}
	assert.Equal(m.t, d.User, was.user, "%q: %s", name, d.Why)
	assert.Equal(m.t, radius.CodeAccessAccept, was.code, "%q", name)
}

// same compares what both did; a rule is the reason for a difference.
func (m *migrated) same(name string, d migrate.Decision, theirs, ours got) (rule string) {
	m.t.Helper()
	same := theirs == ours
	if !d.Ordered && theirs.home != "" && ours.home != "" {
		same = theirs.code == ours.code && theirs.user == ours.user && slices.Contains(d.Homes, ours.home)
	}
	_, _, why := nai.Split([]byte(name))
	said := migrate.Ours{Reason: "route_rejects", Decision: migrate.Decision{Outcome: migrate.Rejected}}
	if ours.home != "" {
		said.Decision = migrate.Decision{Outcome: migrate.Forwarded, Homes: []string{ours.home}, User: ours.user}
	}
	switch why {
	case nai.OK, nai.ManyAt, nai.Backslash, nai.NoDot:
		said.Malformed = d.Outcome == migrate.Forwarded && d.User == "" // "@realm" stripped
	case nai.Decorated:
		said.Malformed = !strings.Contains(name, "@")
	default:
		said.Malformed = true
	}
	_, rule = migrate.Compare(migrate.Request{Name: name}, d, said)
	if same && rule == migrate.RuleLocal {
		return rule // the client hears the same
	}
	if same {
		return ""
	}
	assert.NotEmpty(m.t, rule, "%q: the original %v, the hub %v, without a rule (%s)", name, theirs, ours, d.Why)
	return rule
}

// verify asks the command, which must come to the same without any traffic.
func (m *migrated) verify(names []string, equal int, rules map[string]int) {
	m.t.Helper()
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "%q\n", n)
	}
	path := filepath.Join(m.t.TempDir(), "names")
	require.NoError(m.t, os.WriteFile(path, []byte(b.String()), 0o600))
	out := m.roamgate("import", "verify", "--config", filepath.Join(m.hub, "roamgate.yaml"), "--against", "freeradius:"+m.raddb,
		"--identities", path, "--from", m.addr(asker).String())
	assert.True(m.t, strings.HasPrefix(out, fmt.Sprintf("%d of %d equal", equal, len(names))), out)
	for rule, n := range rules {
		assert.Contains(m.t, out, fmt.Sprintf("  %d %s: ", n, rule))
	}
}

// account sends records of the names whose accounting the original forwards.
func (m *migrated) account(names []string) {
	m.t.Helper()
	var some []string
	var want []migrate.Decision
	for _, n := range names {
		d, err := m.model.Decide(migrate.Request{Name: n, Client: m.addr(asker).String(), Accounting: true})
		require.NoError(m.t, err)
		if _, _, why := nai.Split([]byte(n)); d.Outcome == migrate.Forwarded && d.User != "" && why == nai.OK && len(some) < 200 {
			some, want = append(some, n), append(want, d)
		}
	}
	require.NotEmpty(m.t, some)
	request := func(name string) *radius.Packet {
		p := radius.New(radius.CodeAccountingRequest, []byte(m.secret))
		_ = rfc2865.UserName_SetString(p, name)
		_ = rfc2866.AcctStatusType_Set(p, rfc2866.AcctStatusType_Value_Start)
		_ = rfc2866.AcctSessionID_SetString(p, "s-"+strconv.Itoa(int(binary.BigEndian.Uint16([]byte(name+"  ")))))
		return p
	}
	for host := 1; host <= 2; host++ {
		for i, g := range m.all(host, some, 1813, request) {
			assert.Equal(m.t, radius.CodeAccountingResponse, g.code, "%q", some[i])
			assert.Contains(m.t, want[i].Homes, g.home, "%q at %d", some[i], host)
			assert.Equal(m.t, want[i].User, g.user, "%q at %d", some[i], host)
		}
	}
}

// TestImportFreeRADIUSShipped: the files that the Debian package installs.
func TestImportFreeRADIUSShipped(t *testing.T) {
	t.Parallel()
	peer.Need(t, "freeradius")
	const raddb = "/etc/freeradius/3.0"
	dir := filepath.Join(t.TempDir(), "hub")
	run := func(args ...string) string {
		out, err := exec.Command(peer.Roamgate(t), args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	report := run("import", "freeradius", raddb, "--to", dir)
	var mapped, all, percent int
	_, err := fmt.Sscanf(report[strings.LastIndex(report, raddb+": "):], raddb+": %d of %d directives mapped (%d %%)", &mapped, &all, &percent)
	require.NoError(t, err, report)
	assert.GreaterOrEqual(t, percent, 95, report)
	run("check", "--config", filepath.Join(dir, "roamgate.yaml"))
	names := filepath.Join(t.TempDir(), "names")
	require.NoError(t, os.WriteFile(names, []byte("alice@example.com\nALICE@EXAMPLE.COM\nbob@other.example\ncarol\ndave@one\neve@a@example.com\n"), 0o600))
	out := run("import", "verify", "--config", filepath.Join(dir, "roamgate.yaml"), "--against", "freeradius:"+raddb, "--identities", names)
	assert.Contains(t, out, "4 of 6 equal, 2 otherwise by intent\n  2 local-answer: ")
	assert.NotContains(t, report, "testing123")
}

// TestFreeRADIUSReadsAlike: of all files in the vectors, FreeRADIUS refuses
// those that we refuse, and reads the others.
func TestFreeRADIUSReadsAlike(t *testing.T) {
	t.Parallel()
	peer.Need(t, "freeradius")
	paths, err := filepath.Glob("../vectors/migrate/freeradius/read/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		switch name := strings.TrimSuffix(filepath.Base(path), ".txt"); name {
		case "bad_cycle", "bad_template":
			// It goes round until it is out of memory.
		case "bad_include_variable", "include":
			// It looks in its working directory, and in /etc/moved.
		default:
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				raw, err := os.ReadFile(path)
				require.NoError(t, err)
				text, want, _ := strings.Cut(string(raw), "-- want --\n")
				dir := t.TempDir()
				unpackVector(t, text, dir)
				out, _ := exec.Command("freeradius", "-XC", "-d", dir).CombinedOutput()
				assert.Contains(t, string(out), "including configuration file ")
				assert.Equal(t, strings.HasPrefix(want, "error:"), bytes.Contains(out, []byte("Errors reading or parsing")), "%s", out)
			})
		}
	}
}

// unpackVector writes the files of a vector.
func unpackVector(t *testing.T, text, dir string) {
	t.Helper()
	path := ""
	for line := range strings.Lines(text) {
		if title, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(title, " --\n") {
			path = filepath.Join(dir, strings.TrimSuffix(title, " --\n"))
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			continue
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		_, err = f.WriteString(line)
		require.NoError(t, errors.Join(err, f.Close()))
	}
}
