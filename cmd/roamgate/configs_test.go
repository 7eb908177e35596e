package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/accounting/queue"
	"github.com/roamgate/roamgate/pkg/pki/issue"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm/file"
)

var update = flag.Bool("update", false, "write configs/metrics.md anew")

const configs = "../../configs"

// reference copies configs with a secret for each peer.
func reference(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(configs)))
	found, err := filepath.Glob(dir + "/realms/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, found)
	secret := regexp.MustCompile(`(?m)^[^#\n]*secret_file: ([^\s,}]+)`)
	for _, f := range found {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		for _, m := range secret.FindAllSubmatch(text, -1) {
			name := string(m[1])
			write(t, dir, map[string]string{"realms/" + name: "reference secret of " + name})
		}
	}
	write(t, dir+"/realms", material(t))
	t.Setenv("ROAMGATE_SECRET_LOUNGE", "reference secret of the lounge")
	return dir
}

// material is what the routing files of the reference name beside secrets.
func material(t *testing.T) map[string]string {
	t.Helper()
	profile := issue.Profile{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(3, 0, 0)}
	ca, err := issue.NewAuthority(profile)
	require.NoError(t, err)
	root, _, err := ca.PEM()
	require.NoError(t, err)
	list, err := ca.Revoke(1, profile.NotBefore, profile.NotAfter)
	require.NoError(t, err)
	files := map[string]string{"pki/roaming.crl": string(list)}
	for _, name := range []string{"roaming-ca", "wba-root0", "wba-root1"} {
		files["pki/"+name+".pem"] = string(root)
	}
	for _, name := range []string{"hub", "openroaming"} {
		profile.Hosts = []string{name + ".example"}
		pair, err := ca.Issue(profile)
		require.NoError(t, err)
		chain, key, err := pair.PEM()
		require.NoError(t, err)
		files["pki/"+name+".pem"], files["pki/"+name+".key"] = string(chain), string(key)
	}
	return files
}

// TestReference loads what operators copy, also with the keys that are
// commented out.
func TestReference(t *testing.T) {
	dir := reference(t)
	assert.Empty(t, ok(t, "check", dir+"/roamgate.yaml"), "the reference has nothing to complain of")

	text, err := os.ReadFile(dir + "/roamgate.yaml")
	require.NoError(t, err)
	all := regexp.MustCompile(`(?m)^(\s+)# (\w+: )`).ReplaceAllString(string(text), "$1$2")
	// The policy is in Redis, which is a cluster.
	all = regexp.MustCompile(`(?m)^  (file|master): .*$`).ReplaceAllString(all, "")
	write(t, dir, map[string]string{"all.yaml": all, "identity.key": strings.Repeat("k", 32), "redis.password": "p", "sentinel.password": "p",
		"nats.password": "p", "kafka.password": "p", "hub.creds": "c", "clearing.dsn": "host=db", "fticks.key": "k"})
	assert.Empty(t, ok(t, "check", dir+"/all.yaml"))
}

// TestReferenceIsComplete holds the keys of the reference files against the
// structs that they fill.
func TestReferenceIsComplete(t *testing.T) {
	for name, of := range map[string]any{"roamgate.yaml": config{}, "devices.yaml": device.File{}} {
		text, err := os.ReadFile(filepath.Join(configs, name))
		require.NoError(t, err)
		for _, key := range keys(reflect.TypeOf(of)) {
			assert.Regexp(t, `(?m)^[\s-]*(# )?`+key+`:`, string(text), "%s explains %s", name, key)
		}
	}
}

// TestReferenceDefaults: where the reference says default, the value is it.
func TestReferenceDefaults(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"empty.yaml": "\n"})
	plain, ps := loadConfig(dir + "/empty.yaml")
	require.Empty(t, ps)
	full, ps := loadConfig(configs + "/roamgate.yaml")
	require.Empty(t, ps)
	assert.ElementsMatch(t, plain.Listen.Auth, full.Listen.Auth)
	assert.ElementsMatch(t, plain.Listen.Acct, full.Listen.Acct)
	assert.Equal(t, plain.Admin, full.Admin)
	assert.Equal(t, plain.Spool, full.Spool)
	assert.Equal(t, plain.Privacy, full.Privacy)
	assert.Equal(t, plain.Log, full.Log)
	assert.Equal(t, plain.Policy.Budget, full.Policy.Budget)
	assert.Equal(t, plain.Routing.Directory, full.Routing.Directory)
	assert.Equal(t, plain.RejectDelay, full.RejectDelay)
	// Defaults of the rooms below, which take zero for them.
	assert.Equal(t, 10*time.Second, full.Duplicates.Keep)
	assert.Equal(t, file.Size(64<<20), full.Duplicates.Memory)
	assert.Equal(t, 65536, full.InFlight)
	assert.Equal(t, 2*time.Second, full.Routing.Poll)
}

func keys(t reflect.Type) (all []string) {
	switch t.Kind() {
	case reflect.Slice, reflect.Pointer:
		return keys(t.Elem())
	case reflect.Struct:
	default:
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" {
			continue
		}
		all = append(append(all, name), keys(f.Type)...)
	}
	return all
}

// TestUnit holds the systemd unit against systemd, where there is one, and
// its commands against ours everywhere.
func TestUnit(t *testing.T) {
	text, err := os.ReadFile(configs + "/roamgate.service")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`(?m)^Exec\w+=/usr/bin/roamgate (.+)$`).FindAllStringSubmatch(string(text), -1) {
		found, args, err := root().Find(strings.Fields(m[1]))
		require.NoError(t, err)
		assert.NotEqual(t, "roamgate", found.Name(), m[1])
		assert.NoError(t, found.ParseFlags(args))
	}
	assert.Contains(t, string(text), "Type=notify\n")
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Log("there is no systemd-analyze: the unit is not verified")
		return
	}
	unit := filepath.Join(t.TempDir(), "roamgate.service")
	require.NoError(t, os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/bin/roamgate", program(t))), 0o600))
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
	assert.NoError(t, err, "%s", out)
	assert.NotContains(t, string(out), unit)
	out, err = exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=20", unit).CombinedOutput()
	assert.NoError(t, err, "exposure is above 2.0:\n%s", out)
}

// families are the metrics of a hub with everything in it, and of a consumer.
func families(t *testing.T) []stat.Family {
	t.Helper()
	_, path := configuration(t, map[string]string{"roamgate.yaml": "listen: {auth: [\"127.0.0.1:0\"], acct: [\"127.0.0.1:0\"], dynauth: [\"127.0.0.1:0\"], radsec: [\"127.0.0.1:0\"]}\n" +
		"admin: {listen: \"127.0.0.1:0\"}\nredis: {address: \"127.0.0.1:1\"}\nqueue: {to: clearing}\nfticks: {reporting: basic, mac: static, to: \"udp:127.0.0.1:9\"}\n" +
		"diameter: {identity: hub.example, listen: [\"127.0.0.1:0\"]}\n",
		"realms/diameter.yaml": "peers:\n  - {name: dra, identity: dra.north.example, from: 192.0.2.77, protected: true}\n" +
			"pools:\n  - {name: dra, peers: dra}\nsteerings:\n  - {name: home, networks: 262}\nrealms:\n  - {realm: north.example, diameter: dra, steering: home}\n",
		"realms/hub.yaml": strings.NewReplacer("country: DE", "operator: 1airport.example, in: strip-tunnel, dynauth: \"192.0.2.1:3799\"",
			"198.51.100.10, secret", "198.51.100.10, dynauth: [198.51.100.10], secret").Replace(goodRealms), "realms/tls.yaml": tlsEntry(labCA(t)) + "clients:\n  - {name: secured, transport: tls, tls: roaming, certificate: {hosts: [nas.example]}}\n"})
	l, ps := loadAll(path)
	require.NotNil(t, l, ps)
	s := &server{conf: l.conf, log: zap.NewNop(), stats: stat.NewRegistry(), started: time.Now(), notify: &notifier{}}
	defer s.close()
	require.NoError(t, s.open(t.Context(), l))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, s.hub.Run(ctx), "closes its sockets")
	require.NoError(t, s.agent.Run(ctx))
	k := &consumer{stats: stat.NewRegistry(), store: s.clearing, c: &queue.Consumer{}}
	k.series()
	all := append(s.stats.Families(), k.stats.Families()...)
	slices.SortStableFunc(all, func(a, b stat.Family) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(all, func(a, b stat.Family) bool { return a.Name == b.Name })
}

// TestMetricsDocumented holds configs/metrics.md against what is exported, in
// both directions.
func TestMetricsDocumented(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# Metrics

What ` + "`/metrics`" + ` of the administration port shows, beside the go_* and process_*
families of the Prometheus client. Labels have values out of the configuration
or out of closed sets, never out of packets. A sparse family leaves out series
that are zero. This file is written by

` + "```sh" + `
go test ./cmd/roamgate -run TestMetricsDocumented -update
` + "```" + `

| Metric | Type | Labels | Meaning |
|---|---|---|---|
`)
	for _, f := range families(t) {
		kind := f.Kind.String()
		if f.Sparse {
			kind += ", sparse"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, kind, strings.Join(f.Labels, ", "), f.Help)
	}
	name := configs + "/metrics.md"
	if *update {
		require.NoError(t, os.WriteFile(name, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, string(want), b.String(), "metrics changed: go test ./cmd/roamgate -run TestMetricsDocumented -update")
}
