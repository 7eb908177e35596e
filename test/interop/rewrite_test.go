package interop

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"layeh.com/radius"

	"github.com/roamgate/roamgate/pkg/radius/dict"
	"github.com/roamgate/roamgate/test/peer"
)

// rewriteCase is a rewrite block of radsecproxy, the filter that is equal to
// it, and a packet. A case has a client address of its own, so that one process
// of each program does for all.
type rewriteCase struct {
	name   string
	block  string   // lines of radsecproxy's rewrite block
	rules  []string // of our filter
	packet []string // attributes beside the User-Name, or 0x and octets
	// reply: the block and the filter are for what goes to the client, and the
	// packet is what the home says.
	reply bool
	// same: nothing is to be changed.
	same bool
}

const rewritten = "bob@" + peer.Realm

var rewriteCases = []rewriteCase{
	{name: "remove", block: "removeAttribute 25\nremoveAttribute 32", rules: []string{"{remove: [Class, NAS-Identifier]}"},
		packet: []string{`Class = 0x01`, `NAS-Port = 1`, `Class = 0x02`, `NAS-Identifier = "x"`}},
	{name: "remove a sub-attribute", block: "removeVendorAttribute 14122:2", rules: []string{"{remove: 26.14122.2}"},
		packet: []string{`WISPr-Location-Name = "gone"`, `Cisco-AVPair = "a=b"`, `0x1a160000372a010361020462620306636363630403ff`}},
	{name: "remove a vendor", block: "removeVendorAttribute 14122", rules: []string{"{remove: vendor 14122}"},
		packet: []string{`WISPr-Location-ID = "x"`, `Cisco-AVPair = "a=b"`, `0x1a070000372a99`}},
	{name: "keep", block: "whitelistMode on\nwhitelistAttribute 1\nwhitelistAttribute 25\nwhitelistVendorAttribute 14122:7\nwhitelistVendorAttribute 9",
		rules:  []string{"{keep: [User-Name, Class, 26.14122.7, vendor 9]}"},
		packet: []string{`Class = 0x01`, `NAS-Port = 1`, `0x1a120000372a0203610706000f4240030362`, `Cisco-AVPair = "a=b"`, `Cisco-NAS-Port = "c"`, `3GPP-IMSI = "262011234567890"`, `0x1a0a0000372a02066262`, `Operator-NAS-Identifier = 0x01`}},
	{name: "add", block: "addAttribute 32:hub\naddAttribute 27:3600\naddAttribute 25:'7\naddVendorAttribute 9:1:shell", rules: []string{"{add: NAS-Identifier, value: hub}", "{add: Session-Timeout, value: 3600}", "{add: Class, value: '7'}", "{add: Cisco-AVPair, value: shell}"},
		packet: []string{`NAS-Identifier = "nas"`, `Class = 0x01`}},
	{name: "supplement what is absent", block: "supplementAttribute 32:hub\nsupplementVendorAttribute 14122:2:here", rules: []string{"{supplement: NAS-Identifier, value: hub}", "{supplement: WISPr-Location-Name, value: here}"},
		packet: []string{`WISPr-Location-ID = "x"`, `NAS-Port = 1`}},
	{name: "supplement what is there", same: true, block: "supplementAttribute 32:hub\nsupplementVendorAttribute 14122:2:here", rules: []string{"{supplement: NAS-Identifier, value: hub}", "{supplement: WISPr-Location-Name, value: here}"},
		packet: []string{`NAS-Identifier = "nas"`, `WISPr-Location-Name = "there"`}},
	{name: "modify", block: `modifyAttribute 30:/^(.+):(.+)$/\2 at \1/`, rules: []string{`{replace: Called-Station-Id, match: "^(.+):(.+)$", with: "$2 at $1"}`},
		packet: []string{`Called-Station-Id = "AA-BB-CC-DD-EE-FF:Roam"`, `Called-Station-Id = "none"`}},
	{name: "modify is the whole value, of both cases", block: `modifyAttribute 32:/AP-([0-9]+)/point \1/`, rules: []string{`{replace: NAS-Identifier, match: "AP-([0-9]+)", with: "point $1"}`},
		packet: []string{`NAS-Identifier = "the ap-17 of us"`}},
	{name: "modify the longest", block: `modifyAttribute 32:/(a|ab)(c|bcd)(d*)/\1-\2-\3/`, rules: []string{`{replace: NAS-Identifier, match: "(a|ab)(c|bcd)(d*)", with: "$1-$2-$3"}`},
		packet: []string{`NAS-Identifier = "xabcdx"`}},
	{name: "modify several sub-attributes", block: `modifyVendorAttribute 9:1:/^(.*)=(.*)$/\2=\1/`, rules: []string{`{replace: Cisco-AVPair, match: "^(.*)=(.*)$", with: "$2=$1"}`},
		packet: []string{`Cisco-AVPair = "a=b"`, `0x1a18000000090105613d6202037a010a6363633d64646464`}},
	{name: "modify the User-Name", block: `modifyAttribute User-Name:/^(.*)@home(.*)$/x-\1@home\2/`, rules: []string{`{replace: User-Name, match: "^(.*)@home(.*)$", with: "x-$1@home$2"}`},
		packet: []string{`NAS-Port = 1`}},
	{name: "all, in radsecproxy's order", block: `addAttribute 25:added` + "\nremoveAttribute 25\nsupplementAttribute 32:hub\n" + `modifyAttribute 30:/^(.*):.*$/\1/`,
		rules:  []string{"{remove: Class}", `{replace: Called-Station-Id, match: "^(.*):.*$", with: "$1"}`, "{supplement: NAS-Identifier, value: hub}", "{add: Class, value: added}"},
		packet: []string{`Class = 0x01`, `Called-Station-Id = "AA-BB-CC-DD-EE-FF:Roam"`}},
	{name: "to the client", reply: true, block: "removeAttribute 64\nremoveAttribute 65\nremoveAttribute 81\nremoveVendorAttribute 9:1\naddAttribute 18:hello",
		rules:  []string{"{remove: [Tunnel-Type, Tunnel-Medium-Type, Tunnel-Private-Group-Id, Cisco-AVPair]}", "{add: Reply-Message, value: hello}"},
		packet: []string{`Tunnel-Type:1 = VLAN`, `Tunnel-Medium-Type:1 = IEEE-802`, `Tunnel-Private-Group-Id:1 = "12"`, `Class = 0x01`, `Cisco-AVPair = "shell:priv-lvl=15"`, `Session-Timeout = 600`}},
}

func (c *rewriteCase) client(i int) string { return fmt.Sprintf("127.0.1.%d", i+1) }

// TestRewriteAsRadsecproxy sends the same packets through a real radsecproxy
// with a rewrite block and through a hub with the filter that is equal to it:
// the same attributes arrive, in the same order. What makes an attribute too long
// is left out: radsecproxy 1.9.2 ends there, the hub refuses the request.
func TestRewriteAsRadsecproxy(t *testing.T) {
	t.Parallel()
	peer.Need(t, "radsecproxy")
	theirs, ours := listenSpeaker(t), listenSpeaker(t)
	proxy := startRewriting(t, theirs.addr)
	hub := startFiltering(t, ours.addr)
	for i := range rewriteCases {
		tt := &rewriteCases[i]
		t.Run(tt.name, func(t *testing.T) {
			request := []string{`User-Name = "` + rewritten + `"`}
			says := []string(nil)
			if tt.reply {
				says = tt.packet
			} else {
				request = append(request, tt.packet...)
			}
			theirs.say(t, says)
			ours.say(t, says)
			fromThem := ask(t, tt.client(i), proxy, request)
			fromUs := ask(t, tt.client(i), hub, request)
			require.NotNil(t, fromThem, "radsecproxy answers")
			require.NotNil(t, fromUs, "the hub answers")
			want, got := theirs.take(), ours.take()
			if tt.reply {
				want, got = shown(fromThem), shown(fromUs)
			}
			assert.Equal(t, want, got)
			sent := shownOf(t, request)
			if tt.reply {
				sent = shownOf(t, says)
			}
			assert.Equal(t, tt.same, slices.Equal(sent, want), "what a case changes is what it proves")
		})
	}
}

// startRewriting starts radsecproxy with a client and a rewrite block for each
// case.
func startRewriting(t *testing.T, home netip.AddrPort) netip.AddrPort {
	t.Helper()
	at := peer.Port(t)
	var b strings.Builder
	fmt.Fprintf(&b, "LogLevel 3\nListenUDP %s\n", at)
	for i := range rewriteCases {
		c := &rewriteCases[i]
		direction := "rewriteIn"
		if c.reply {
			direction = "rewriteOut"
		}
		fmt.Fprintf(&b, "rewrite case%d {\n%s\n}\nclient %s {\ntype udp\nsecret %s\n%s case%d\n}\n", i, quoted(c.block), c.client(i), clientSecret, direction, i)
	}
	fmt.Fprintf(&b, "client 127.0.0.1 {\ntype udp\nsecret %s\n}\n", clientSecret)
	fmt.Fprintf(&b, "server home {\ntype udp\nhost %s\nport %d\nsecret %s\nstatusserver off\n}\nrealm * {\nserver home\n}\n", home.Addr(), home.Port(), homeSecret)
	conf := filepath.Join(t.TempDir(), "radsecproxy.conf")
	require.NoError(t, os.WriteFile(conf, []byte(b.String()), 0o600))
	peer.Start(t, "radsecproxy", exec.Command("radsecproxy", "-f", "-c", conf))
	peer.Eventually(t, takesEffect, "radsecproxy answers", func() bool { return peer.Alive(at, clientSecret) == nil })
	return at
}

// quoted puts the value of each option into quotes, where a blank may stand.
func quoted(block string) string {
	lines := strings.Split(block, "\n")
	for i, line := range lines {
		option, value, _ := strings.Cut(line, " ")
		lines[i] = option + ` "` + value + `"`
	}
	return strings.Join(lines, "\n")
}

// startFiltering starts a hub with a client and a filter for each case.
func startFiltering(t *testing.T, home netip.AddrPort) netip.AddrPort {
	t.Helper()
	hub := peer.StartHub(t, peer.HubConfig{Secret: clientSecret, Homes: []peer.HubHome{{
		Name: "a", Server: peer.Server{Auth: home, Acct: peer.Port(t), Secret: homeSecret}, RequireMessageAuthenticator: true,
	}}})
	clients, filters := "clients:\n", "filters:\n"
	for i := range rewriteCases {
		c := &rewriteCases[i]
		direction := "in"
		if c.reply {
			direction = "out"
		}
		clients += fmt.Sprintf("  - {name: case%d, address: %s, secret_file: ../client.secret, %s: case%d}\n", i, c.client(i), direction, i)
		filters += fmt.Sprintf("  - name: case%d\n    rules:\n      - %s\n", i, strings.Join(c.rules, "\n      - "))
	}
	_, rest, ok := strings.Cut(hub.Config.Routing(), "homes:\n")
	require.True(t, ok)
	hub.Route(filters + clients + "homes:\n" + strings.Replace(rest, "status_server: true", "status_server: false", 1))
	first := rewriteCases[0]
	peer.Eventually(t, takesEffect, "the filters are in use", func() bool {
		return ask(t, first.client(0), hub.Auth, []string{`User-Name = "nobody@nowhere.example"`}) != nil && hub.Metric("roamgate_requests_total", "client", "case0", "kind", "auth") > 0
	})
	return hub.Auth
}

// speaker is a home that keeps what reaches it and says what it is told to.
type speaker struct {
	addr netip.AddrPort

	mu   sync.Mutex
	seen []string
	says []byte
}

func listenSpeaker(t *testing.T) *speaker {
	t.Helper()
	s := &speaker{addr: peer.Port(t)}
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(s.addr))
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, radius.MaxPacketLength)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if b, err := s.answer(buf[:n]); err == nil {
				_, _ = c.WriteToUDPAddrPort(b, from)
			}
		}
	}()
	t.Cleanup(func() { _ = c.Close(); <-done })
	return s
}

func (s *speaker) answer(b []byte) ([]byte, error) {
	p, err := radius.Parse(b, []byte(homeSecret))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = shown(p)
	reply := p.Response(radius.CodeAccessAccept)
	for _, a := range p.Attributes {
		if a.Type == proxyState {
			reply.Add(a.Type, a.Attribute)
		}
	}
	says, err := radius.ParseAttributes(s.says)
	if err != nil {
		return nil, err
	}
	reply.Attributes = append(reply.Attributes, says...)
	if err := peer.AddMessageAuthenticator(reply); err != nil {
		return nil, err
	}
	return reply.Encode()
}

func (s *speaker) say(t *testing.T, attributes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says = encoded(t, attributes)
}

func (s *speaker) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = nil
	return seen
}

// ask sends an Access-Request from an address and gives the answer, nil for
// none.
func ask(t *testing.T, from string, to netip.AddrPort, attributes []string) *radius.Packet {
	t.Helper()
	p := radius.New(radius.CodeAccessRequest, []byte(clientSecret))
	all, err := radius.ParseAttributes(encoded(t, attributes))
	require.NoError(t, err)
	p.Attributes = all
	require.NoError(t, peer.AddMessageAuthenticator(p))
	b, err := p.Encode()
	require.NoError(t, err)
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)}, net.UDPAddrFromAddrPort(to))
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	buf := make([]byte, radius.MaxPacketLength)
	for range 4 { // a repetition finds the answer where a packet was lost
		_, err = c.Write(b)
		if errors.Is(err, net.ErrClosed) {
			break
		}
		require.NoError(t, c.SetReadDeadline(time.Now().Add(500*time.Millisecond)))
		if n, err := c.Read(buf); err == nil {
			require.True(t, radius.IsAuthenticResponse(buf[:n], b, []byte(clientSecret)))
			reply, err := radius.Parse(buf[:n], []byte(clientSecret))
			require.NoError(t, err)
			return reply
		}
	}
	return nil
}

// encoded makes attributes of what package dict prints, or of 0x and octets.
func encoded(t *testing.T, attributes []string) (all []byte) {
	t.Helper()
	for _, line := range attributes {
		if digits, ok := strings.CutPrefix(line, "0x"); ok {
			b, err := hex.DecodeString(digits)
			require.NoError(t, err)
			require.Len(t, b, int(b[1]), line)
			all = append(all, b...)
			continue
		}
		name, value, _ := strings.Cut(line, " = ")
		b, err := dict.Encode(name, value)
		require.NoError(t, err)
		all = append(all, b...)
	}
	return all
}

func shownOf(t *testing.T, attributes []string) []string {
	all, err := radius.ParseAttributes(encoded(t, attributes))
	require.NoError(t, err)
	return shown(&radius.Packet{Attributes: all})
}

// shown is what a packet carries beside what every hop makes anew.
func shown(p *radius.Packet) (all []string) {
	for _, a := range p.Attributes {
		if a.Type != proxyState && a.Type != messageAuthenticator {
			all = append(all, dict.Format(append([]byte{byte(a.Type), byte(2 + len(a.Attribute))}, a.Attribute...)))
		}
	}
	return all
}
