package interop

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/catalogue"
	"github.com/roamgate/roamgate/test/peer"
)

// TestCatalogue has hostapd read the catalogue of a network that offers all there
// is, at the limits of what hostapd takes, and one octet beyond them.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	peer.Need(t, "hostapd")
	set := &realm.Set{
		Clients: []realm.Client{{Name: "airport", Operator: "1airport.example"}},
		Homes:   []realm.Home{{Name: "home", AuthPort: 1812}},
		Pools:   []realm.Pool{{Name: "pool", Members: []realm.Member{{Home: 0, Weight: 1}}}},
	}
	route := func(subject string, when *realm.Condition) {
		set.Routes = append(set.Routes, realm.Route{Realm: subject, When: when, Acct: -1})
	}
	for i := range 300 {
		route(fmt.Sprintf("%s.r%03d.example", strings.Repeat("x", i%60+1), i), nil)
	}
	route("bücher.example", nil)
	route(strings.Repeat(strings.Repeat("y", 61)+".", 4)+"example", nil) // 255 octets
	for i := range 41 {
		route(fmt.Sprintf("plmn:262-%02d", i), nil)
	}
	route("wlan.mnc026.mcc310.3gppnetwork.org", nil)
	route(realm.NameDefault, &realm.Condition{RCOIs: []string{"\x5a\x03\xba", "\xba\xa2\xd0\x20\x00", "\x00\x40\x96"}})
	set.Table = realm.NewTable(set.Routes)
	made := catalogue.Of(set, []*realm.Client{&set.Clients[0]}, []catalogue.Method{catalogue.TLS, catalogue.TTLS, catalogue.PEAP, catalogue.SIM, catalogue.AKA})
	require.Len(t, made.Networks, 42)
	var text bytes.Buffer
	require.NoError(t, made.WriteHostapd(&text))
	assert.Empty(t, hostapd(t, text.String()))

	assert.Contains(t, hostapd(t, strings.Replace(text.String(), "anqp_3gpp_cell_net=", "anqp_3gpp_cell_net=999,99;", 1)), "anqp_3gpp_cell_net", "one network more is too many")
	assert.Contains(t, hostapd(t, strings.Replace(text.String(), ";", ";"+strings.Repeat("z", 250)+";", 1)), "nai_realm", "a longer line is too long")
}

// hostapd gives what it says against a part of its configuration, "" where it
// begins to work. Without a radio it takes no interface into use.
func hostapd(t *testing.T, part string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "hostapd.conf")
	require.NoError(t, os.WriteFile(name, []byte("driver=none\ninterface=lo\n"+part), 0o600))
	cmd := exec.CommandContext(t.Context(), "hostapd", name)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	cmd.WaitDelay = 10 * time.Second
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Wait() }()
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "AP-ENABLED") {
			require.NoError(t, cmd.Process.Kill())
			return ""
		}
		said.WriteString(lines.Text() + "\n")
	}
	return said.String()
}
