package interop

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/aaa/fticks"
	"github.com/roamgate/roamgate/realm/migrate"
	"github.com/roamgate/roamgate/realm/migrate/radsecproxy"
	"github.com/roamgate/roamgate/test/peer"
)

// TestFTicks: in each of its modes radsecproxy writes what our Ticker writes,
// octet for octet, for addresses of devices in all notations and for names that
// are none.
func TestFTicks(t *testing.T) {
	t.Parallel()
	peer.Need(t, "radsecproxy")
	const secret, key = "fticks-client-secret", "key of f-ticks"
	names := []string{"bob@uni.example", "a@b@UNI.example", "bob", "bob@", "m\u00fcller@uni.example", "b%41@uni.example", "bob@uni\t.example"}
	stations := []string{"00-11-22-AA-BB-CC", "00:11:22:aa:bb:cc", "0011.22aa.bbcc", "001122aabbcc", "00-11-22-AA-BB-CC;eduroam", "00-11-22-AA-BB-CC:eduroam",
		"00-11", "123456789", "12345678", "no address", "0\x01\xff-22-33-44-55", strings.Repeat("ab", 32), "\u00e9\u00e9"}
	home := peer.ListenHome(t, "fticks-home-secret-x")
	for reporting, r := range map[string]fticks.Reporting{"Basic": fticks.Basic, "Full": fticks.Full} {
		for mode, m := range map[string]fticks.MAC{
			"Static": fticks.Static, "Original": fticks.Original, "VendorHashed": fticks.VendorHashed, "VendorKeyHashed": fticks.VendorKeyHashed,
			"FullyHashed": fticks.FullyHashed, "FullyKeyHashed": fticks.FullyKeyHashed,
		} {
			t.Run(reporting+mode, func(t *testing.T) {
				at := peer.Port(t)
				conf := filepath.Join(t.TempDir(), "radsecproxy.conf")
				keyLine := "# no key, which would be refused"
				if m.Keyed() {
					keyLine = fmt.Sprintf("FTicksKey %q", key)
				}
				require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, `
LogLevel 1
ListenUDP %s
FTicksReporting %s
FTicksMAC %s
%s
FTicksPrefix F-TICKS/test/1.0
client 127.0.0.1 {
	type udp
	secret %s
	FticksVISCOUNTRY DE
}
server home {
	type udp
	host %s
	port %d
	secret %s
}
realm * {
	server home
}
`, at, reporting, mode, keyLine, secret, home.Addr.Addr(), home.Addr.Port(), home.Secret), 0o600))
				old := peer.Start(t, "radsecproxy", exec.Command("radsecproxy", "-f", "-c", conf))
				peer.Eventually(t, time.Minute, "it answers", func() bool { return peer.Alive(at, secret) == nil })

				path := filepath.Join(t.TempDir(), "ticks")
				tk := fticks.New(fticks.Spec{Reporting: r, MAC: m, Key: []byte(key), Prefix: "F-TICKS/test/1.0",
					To: fticks.Target{Kind: fticks.File, Address: path}, Log: zap.NewNop()})
				sent := 0
				ask := func(name string, station []byte) {
					p := radius.New(radius.CodeAccessRequest, []byte(secret))
					p.Identifier = byte(sent)
					_ = rfc2865.UserName_SetString(p, name)
					_ = rfc2865.UserPassword_SetString(p, "password")
					if station != nil {
						_ = rfc2865.CallingStationID_Set(p, station)
					}
					require.NoError(t, peer.AddMessageAuthenticator(p))
					reply, _, err := peer.NAS{Server: at, Secret: secret, Timeout: 30 * time.Second, Tries: 2}.Send(p)
					require.NoError(t, err, "%q %q", name, station)
					tk.Tick([]byte(name), station, "DE", "127.0.0.1", reply.Code == radius.CodeAccessAccept)
					sent++
				}
				for _, s := range stations {
					ask(names[0], []byte(s))
				}
				for _, n := range names {
					ask(n, nil)
				}
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				tk.Run(ctx)
				var theirs []string
				peer.Eventually(t, time.Minute, "all lines are there", func() bool {
					theirs = tick.FindAllString(old.Output(), -1)
					return len(theirs) == sent
				})
				text, err := os.ReadFile(path)
				require.NoError(t, err)
				ours := tick.FindAllString(string(text), -1)
				slices.Sort(theirs)
				slices.Sort(ours)
				assert.Equal(t, theirs, ours)
			})
		}
	}
}

// TestImportRadsecproxyShipped: what the Debian package installs imports, and
// its example as well.
func TestImportRadsecproxyShipped(t *testing.T) {
	t.Parallel()
	peer.Need(t, "radsecproxy")
	const example = "/usr/share/doc/radsecproxy/examples/radsecproxy.conf-example"
	for _, path := range []string{"/etc/radsecproxy.conf", example} {
		if _, err := os.Stat(path); err != nil {
			continue // not every installation has its documentation
		}
		conf, err := radsecproxy.Parse(radsecproxy.Disk{}, path)
		require.NoError(t, err)
		_, report := radsecproxy.Import(t.Context(), conf, func(context.Context, string) ([]netip.Addr, error) { return nil, os.ErrNotExist })
		for _, d := range report.Directives {
			_, line, _ := strings.Cut(d.Name, "/")
			switch line {
			case "CACertificatePath", "CertificateKeyPassword", "secret": // a directory; and of a peer over TLS
			default:
				assert.NotEqual(t, migrate.Unmapped, d.Fate, "%v", d)
			}
		}
		dir := filepath.Join(t.TempDir(), "hub")
		out, err := exec.Command(peer.Roamgate(t), "import", "radsecproxy", path, "--to", dir).CombinedOutput()
		require.NoError(t, err, "%s", out)
		out, _ = exec.Command(peer.Roamgate(t), "check", "--config", filepath.Join(dir, "roamgate.yaml")).CombinedOutput()
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, ": error: ") { // the certificates of the example are nowhere
				assert.Contains(t, line, "05-tls.yaml:")
			}
		}
		d, err := conf.Decide(migrate.Request{Name: "bob@anywhere.example"})
		require.NoError(t, err)
		assert.NotEqual(t, migrate.Silent, d.Outcome)
	}
}

// TestRefusedRadsecproxy: what the importer refuses, radsecproxy refuses, and
// what it takes, radsecproxy takes.
func TestRefusedRadsecproxy(t *testing.T) {
	t.Parallel()
	peer.Need(t, "radsecproxy")
	const client, realms = "client 192.0.2.1 {\ntype udp\nsecret abc\n}\n", "realm * {\n}\n"
	for name, text := range map[string]string{
		"good":                    client + realms,
		"nothing":                 "",
		"no realm":                client,
		"no client":               realms,
		"only a bad realm":        client + "realm /( {\n}\n",
		"unknown option":          "loglevell 3\n" + client + realms,
		"log level":               "loglevel 6\n" + client + realms,
		"comment behind a value":  "loglevel 3 # loud\n" + client + realms,
		"no brace at the end":     client + "realm * {\n",
		"brace too many":          client + realms + "}\n",
		"equal sign":              "loglevel = 3\n" + client + realms,
		"words behind":            "loglevel = 3 4\n" + client + "realm * { 5\n}\n",
		"octal":                   "loglevel 03\n" + client + realms,
		"hexadecimal":             "loglevel 0x3\n" + client + realms,
		"underscore":              "loglevel 0_3\n" + client + realms,
		"binary":                  "loglevel 0b1\n" + client + realms,
		"twice":                   "pidfile a\npidfile b\n" + client + realms,
		"toggle twice":            "logthreadid on\nlogthreadid off\n" + client + realms,
		"bad toggle":              "logthreadid 1\n" + client + realms,
		"open quote":              "pidfile \"a\n" + client + realms,
		"text behind a quote":     "pidfile \"a\"b\n" + client + realms,
		"empty value":             "pidfile \"\"\n" + client + realms,
		"no secret":               "client 192.0.2.1 {\ntype udp\n}\n" + realms,
		"no type":                 "client 192.0.2.1 {\nsecret abc\n}\n" + realms,
		"bad type":                "client 192.0.2.1 {\ntype sctp\nsecret abc\n}\n" + realms,
		"tls without a context":   "client 192.0.2.1 {\ntype tls\n}\n" + realms,
		"duplicate interval":      "client 192.0.2.1 {\ntype udp\nsecret abc\nduplicateinterval 256\n}\n" + realms,
		"prefix":                  "client 192.0.2.0/24 {\ntype udp\nsecret abc\n}\n" + realms,
		"prefix of 33":            "client 192.0.2.0/33 {\ntype udp\nsecret abc\n}\n" + realms,
		"prefix without a length": "client 192.0.2.0/ {\ntype udp\nsecret abc\n}\n" + realms,
		"bare IPv6":               "client 2001:db8::1 {\ntype udp\nsecret abc\n}\n" + realms,
		"IPv6 in brackets":        "client [2001:db8::1] {\ntype udp\nsecret abc\n}\n" + realms,
		"both families":           "client 192.0.2.1 {\ntype udp\nsecret abc\nipv4only on\nipv6only on\n}\n" + realms,
		"retry count":             client + "server 192.0.2.9 {\ntype udp\nsecret abc\nretrycount 11\n}\n" + realms,
		"status server":           client + "server 192.0.2.9 {\ntype udp\nsecret abc\nstatusserver maybe\n}\n" + realms,
		"server prefix":           client + "server 192.0.2.0/24 {\ntype udp\nsecret abc\n}\n" + realms,
		"remove attribute 0":      "rewrite x {\nremoveattribute 0\n}\n" + client + realms,
		"add without a value":     "rewrite x {\naddattribute 30\n}\n" + client + realms,
		"modify without a slash":  "rewrite x {\nmodifyattribute 1:abc\n}\n" + client + realms,
		"modify badly":            "rewrite x {\nmodifyattribute 1:/(/a/\n}\n" + client + realms,
		"rewrite a user badly":    "client 192.0.2.1 {\ntype udp\nsecret abc\nrewriteattribute User-Name:/a\n}\n" + realms,
		"rewrite not there":       "client 192.0.2.1 {\ntype udp\nsecret abc\nrewritein nothing\n}\n" + realms,
		"no server of the name":   client + "realm a.example {\nserver nobody\n}\n" + realms,
		"fticks without a key":    "fticksreporting full\n" + client + realms,
		"fticks key not used":     "fticksreporting full\nfticksmac static\nftickskey abc\n" + client + realms,
		"fticks static":           "fticksreporting full\nfticksmac static\n" + client + realms,
		"bad fticks":              "fticksreporting some\n" + client + realms,
		"ttl attribute":           "ttlattribute 27262:256\n" + client + realms,
		"add ttl":                 "addttl 0\n" + client + realms,
		"log key":                 "logmac fullykeyhashed\n" + client + realms,
		"nothing included":        "include nowhere/*.conf\n" + client + realms,
		"itself included":         "include it.conf\n" + client + realms,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "it.conf")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			out, old := exec.CommandContext(ctx, "radsecproxy", "-f", "-p", "-c", path).CombinedOutput()
			require.NoError(t, ctx.Err())
			_, err := radsecproxy.Parse(radsecproxy.Disk{}, path)
			if old == nil {
				assert.NoError(t, err, "the original says: %s", out)
			} else {
				assert.Error(t, err, "the original says: %s", out)
			}
		})
	}
}
