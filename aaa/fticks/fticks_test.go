package fticks

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tickOf is what Tick queues.
func tickOf(name, station, country, institution string, accept bool) *tick {
	t := New(Spec{})
	t.Tick([]byte(name), []byte(station), country, institution, accept)
	k := <-t.queue
	return &k
}

// The figures are what radsecproxy 1.9.2 writes; test/interop asks it itself.
func TestLine(t *testing.T) {
	const mac = "00-11-22-AA-BB-CC"
	plain := newWriter(&Spec{}).sumOf("001122aabbcc", "")
	keyed := newWriter(&Spec{}).sumOf("001122aabbcc", "secret key")
	for _, c := range []struct {
		name string
		spec Spec
		tick *tick
		want string
	}{
		{"basic", Spec{Reporting: Basic, MAC: Static}, tickOf("bob@uni.nl", mac, "DE", "1uni.de", true),
			"F-TICKS/eduroam/1.0#REALM=uni.nl#VISCOUNTRY=DE#CSI=undisclosed#RESULT=OK#"},
		{"full", Spec{Reporting: Full, MAC: Original, Prefix: "F-TICKS/x"}, tickOf("bob@uni.nl", mac, "DE", "1uni.de", false),
			"F-TICKS/x#REALM=uni.nl#VISCOUNTRY=DE#VISINST=1uni.de#CSI=00-11-22-AA-BB-CC#RESULT=FAIL#"},
		{"vendor hashed", Spec{MAC: VendorHashed}, tickOf("a@b@c.nl", mac, "DE", "", true),
			"F-TICKS/eduroam/1.0#REALM=c.nl#VISCOUNTRY=DE#CSI=00-11-22-" + plain[:54] + "#RESULT=OK#"},
		{"vendor key hashed", Spec{Key: []byte("secret key")}, tickOf("bob", mac, "DE", "", true),
			"F-TICKS/eduroam/1.0#REALM=#VISCOUNTRY=DE#CSI=00-11-22-" + keyed[:54] + "#RESULT=OK#"},
		{"fully hashed", Spec{MAC: FullyHashed}, tickOf("bob@", "0011.22aa.bbcc", "DE", "", true),
			"F-TICKS/eduroam/1.0#REALM=#VISCOUNTRY=DE#CSI=" + plain + "#RESULT=OK#"},
		{"fully key hashed, with an SSID", Spec{MAC: FullyKeyHashed, Key: []byte("secret key")}, tickOf("bob@x.nl", "001122AABBCC;eduroam", "DE", "", true),
			"F-TICKS/eduroam/1.0#REALM=x.nl#VISCOUNTRY=DE#CSI=" + keyed + "#RESULT=OK#"},
		{"short station", Spec{MAC: VendorHashed}, tickOf("bob@x.nl", "00-11", "DE", "", true),
			"F-TICKS/eduroam/1.0#REALM=x.nl#VISCOUNTRY=DE#CSI=00-11#RESULT=OK#"},
		{"octets", Spec{MAC: Original}, tickOf("bob@x\n.nl\x00\xff", "a\x7f\r", "DE", "", true),
			"F-TICKS/eduroam/1.0#REALM=x%0a.nl%00%ff#VISCOUNTRY=DE#CSI=a%7f%0d#RESULT=OK#"},
		{"forged fields", Spec{Reporting: Full, MAC: Original}, tickOf("bob@x.nl#RESULT=OK", "#RESULT=OK#", "DE", "a#b", false),
			"F-TICKS/eduroam/1.0#REALM=x.nl%23RESULT=OK#VISCOUNTRY=DE#VISINST=a%23b#CSI=%23RESULT=OK%23#RESULT=FAIL#"},
		{"long values", Spec{Reporting: Full, MAC: Original}, tickOf("b@x.nl", strings.Repeat("s", 200), "DE", strings.Repeat("i", 60), true),
			"F-TICKS/eduroam/1.0#REALM=x.nl#VISCOUNTRY=DE#VISINST=" + strings.Repeat("i", 40) + "#CSI=" + strings.Repeat("s", 64) + "#RESULT=OK#"},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, string(newWriter(&c.spec).append(nil, c.tick)))
		})
	}
	none := tickOf("bob@x.nl", "", "DE", "", true)
	none.hasStation = false
	assert.Equal(t, "F-TICKS/eduroam/1.0#REALM=x.nl#VISCOUNTRY=DE#CSI=#RESULT=OK#", string(newWriter(&Spec{MAC: FullyHashed}).append(nil, none)))
}

// sumOf is the hash of clean digits, as the command line of openssl gives it.
func (w *writer) sumOf(clean, key string) string {
	s := Spec{MAC: FullyHashed}
	if key != "" {
		s = Spec{MAC: FullyKeyHashed, Key: []byte(key)}
	}
	return strings.TrimSuffix(strings.SplitN(string(newWriter(&s).append(nil, tickOf("", clean, "", "", true))), "CSI=", 2)[1], "#RESULT=OK#")
}

func TestHash(t *testing.T) {
	// printf 001122aabbcc | sha256sum; ... | openssl dgst -sha256 -hmac "secret key"
	w := newWriter(&Spec{})
	assert.Equal(t, "8f19513ff60dbffe80e15c8b5c8bfbd2a11a4e0e9e093db8a299a018e5c71c9d", w.sumOf("001122aabbcc", ""))
	assert.Equal(t, "7cb90c5793533a36ac4ed35a6150e69fafab2900356eeef27584a938cd997040", w.sumOf("001122aabbcc", "secret key"))
}

var oneLine = regexp.MustCompile(`^F-TICKS/eduroam/1\.0#REALM=[ -"$-~]*#VISCOUNTRY=DE#VISINST=[ -"$-~]*#CSI=[ -"$-~]*#RESULT=(OK|FAIL)#$`)

// No octets of a device make another field or another line.
func FuzzLine(f *testing.F) {
	f.Add([]byte("bob@x#RESULT=OK#"), []byte("a\n#"), "inst", uint8(4))
	f.Fuzz(func(t *testing.T, name, station []byte, institution string, mode uint8) {
		w := newWriter(&Spec{Reporting: Full, MAC: MAC(mode % 6), Key: []byte("k")})
		line := w.append(nil, tickOf(string(name), string(station), "DE", institution, len(name)%2 == 0))
		assert.Regexp(t, oneLine, string(line))
	})
}

func TestParseTarget(t *testing.T) {
	for in, want := range map[[2]string]Target{
		{"unix:/dev/log", ""}:             {Unix, "/dev/log", 3},
		{"unix:/dev/log", "local1"}:       {Unix, "/dev/log", 17},
		{"udp:192.0.2.1:514", "mail"}:     {UDP, "192.0.2.1:514", 2},
		{"udp:[2001:db8::1]:514", "user"}: {UDP, "[2001:db8::1]:514", 1},
		{"file:/var/log/fticks", ""}:      {File, "/var/log/fticks", 3},
	} {
		got, err := ParseTarget(in[0], in[1])
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for _, bad := range [][2]string{{"", ""}, {"/dev/log", ""}, {"unix:", ""}, {"tcp:a:1", ""}, {"udp:host", ""}, {"udp:host:0", ""}, {"unix:/x", "local8"}, {"file:/x", "local1"}} {
		_, err := ParseTarget(bad[0], bad[1])
		require.Error(t, err, bad)
	}
}

// running runs a Ticker until the test stops it.
func running(t *testing.T, tk *Ticker) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		tk.Run(ctx)
		close(done)
	}()
	return func() {
		cancel()
		<-done
	}
}

func TestTargets(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "log")
	unix, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	require.NoError(t, err)
	defer unix.Close()
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer udp.Close()
	file := filepath.Join(dir, "fticks")
	const line = `F-TICKS/eduroam/1\.0#REALM=x\.nl#VISCOUNTRY=DE#CSI=undisclosed#RESULT=OK#`
	stamp := `\w{3} [ \d]\d \d\d:\d\d:\d\d `
	read := func(c net.Conn) func() string {
		return func() string {
			b := make([]byte, 1024)
			n, err := c.Read(b)
			require.NoError(t, err)
			return string(b[:n])
		}
	}
	for _, c := range []struct {
		to, facility, want string
		read               func() string
	}{
		{"unix:" + socket, "local1", fmt.Sprintf(`^<143>%sroamgate\[%d\]: %s$`, stamp, os.Getpid(), line), read(unix)},
		{"udp:" + udp.LocalAddr().String(), "", fmt.Sprintf(`^<31>%s\S+ roamgate\[%d\]: %s$`, stamp, os.Getpid(), line), read(udp)},
		{"file:" + file, "", `^\w{3} ` + stamp + `\d{4}: ` + line + "\n$", func() string {
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			return string(b)
		}},
	} {
		to, err := ParseTarget(c.to, c.facility)
		require.NoError(t, err)
		tk := New(Spec{MAC: Static, To: to, Log: zap.NewNop()})
		stop := running(t, tk)
		tk.Tick([]byte("bob@x.nl"), nil, "DE", "", true)
		stop()
		assert.Regexp(t, c.want, c.read())
		assert.Equal(t, []uint64{1, 0, 0}, []uint64{tk.Written(), tk.Dropped(), tk.Failed()})
	}
}

// A target that is away holds nobody up: lines are counted as failed.
func TestTargetAway(t *testing.T) {
	tk := New(Spec{To: Target{Kind: Unix, Address: filepath.Join(t.TempDir(), "nothing")}, Key: []byte("k"), Log: zap.NewNop()})
	stop := running(t, tk)
	for range 10 {
		tk.Tick([]byte("bob@x.nl"), nil, "DE", "", true)
	}
	stop()
	assert.Equal(t, []uint64{0, 0, 10}, []uint64{tk.Written(), tk.Dropped(), tk.Failed()})
}

// Nobody reads: the queue fills, and what is more is dropped at once.
func TestQueueFull(t *testing.T) {
	tk := New(Spec{})
	for range queued + 7 {
		tk.Tick([]byte("bob@x.nl"), []byte("00-11-22-33-44-55"), "DE", "", true)
	}
	assert.Equal(t, uint64(7), tk.Dropped())
}

func TestTickAllocs(t *testing.T) {
	tk := New(Spec{})
	name, station := []byte("bob@uni.nl"), []byte("00-11-22-33-44-55")
	assert.Zero(t, testing.AllocsPerRun(1000, func() { tk.Tick(name, station, "DE", "uni", true) }))
}

func BenchmarkTick(b *testing.B) {
	tk := New(Spec{})
	name, station := []byte("bob@uni.nl"), []byte("00-11-22-33-44-55")
	b.ReportAllocs()
	for b.Loop() {
		tk.Tick(name, station, "DE", "uni", true)
		<-tk.queue
	}
}
