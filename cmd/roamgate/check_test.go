package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const goodMain = `listen: {auth: ["127.0.0.1:21812"], acct: ["127.0.0.1:21813"]}
admin: {listen: "127.0.0.1:29812"}
queue: {node: hub-1}
`

const goodRealms = `clients:
  - {name: airport, address: 192.0.2.0/24, secret_file: ../airport.secret, country: DE}
homes:
  - {name: acme-1, address: 198.51.100.10, secret_file: ../acme.secret}
  - {name: acme-2, address: 198.51.100.11, secret_file: ../acme-2.secret}
pools:
  - {name: acme, homes: [{home: acme-1}, {home: acme-2, priority: 2}]}
realms:
  - {realm: acme.example, auth: acme, accounting: acme, policy: {enabled: true}}
  - {realm: plain.example, auth: acme}
  - {realm: "*.late.example", auth: acme, accounting: acme, acknowledge: durable}
  - {realm: old.example, reject: contract ended}
  - {realm: default, reject: no agreement}
`

const goodPolicy = `profiles:
  - {name: meter, countries: [DE], session_timeout: 4h}
devices:
  - {nai: alice@acme.example, profile: meter}
  - {nai: mallory@acme.example, profile: meter, blocked: true}
`

// goodFiles is a configuration without mistakes.
func goodFiles() map[string]string {
	return map[string]string{
		"roamgate.yaml":   goodMain + "policy: {file: devices.yaml}\n",
		"devices.yaml":    goodPolicy,
		"realms/hub.yaml": goodRealms,
		"airport.secret":  "airport-secret-of-32-octets-0001\n",
		"acme.secret":     "acme-secret-that-is-32-octets-02\n",
		"acme-2.secret":   "acme-2-secret-also-32-octets--03\n",
	}
}

// configuration writes files over the good ones; an empty text removes one.
func configuration(t testing.TB, changed map[string]string) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	files := goodFiles()
	for name, text := range changed {
		files[name] = text
		if text == "" {
			delete(files, name)
		}
	}
	write(t, dir, files)
	return dir, filepath.Join(dir, "roamgate.yaml")
}

func TestCheck(t *testing.T) {
	main := func(more string) map[string]string { return map[string]string{"roamgate.yaml": goodMain + more} }
	for _, tc := range []struct {
		name    string
		changed map[string]string
		code    int
		want    []string // lines, paths relative to the directory
	}{
		{name: "good"},
		{name: "nothing but defaults", changed: map[string]string{"roamgate.yaml": "\n"}},
		{name: "no main file", changed: map[string]string{"roamgate.yaml": ""}, code: 1, want: []string{
			"roamgate.yaml: error: reading the configuration: no such file or directory (name it with --config)",
		}},
		{name: "several files at once", code: 1, changed: map[string]string{
			"roamgate.yaml":   goodMain + "policy: {file: devices.yaml}\npolcy: {budget: 5ms}\n",
			"realms/hub.yaml": goodRealms + "  - {realm: lost.example, auth: acne}\n",
			"realms/two.yaml": "clients:\n  - {name: harbour, address: 192.0.2.300, secret_file: ../none.secret}\n",
			"devices.yaml":    goodPolicy + "  - {imsi: 26201, profile: metre}\n",
		}, want: []string{
			`roamgate.yaml:5:1: error: unknown key "polcy" (did you mean policy?)`,
			`realms/hub.yaml:14:33: error: `,
			`realms/two.yaml:2:30: error: `,
			`realms/two.yaml:2:56: error: `,
			`devices.yaml:6:12: error: imsi must be 6 to 15 digits, in quotes`,
			`devices.yaml:6:28: error: there is no profile "metre"`,
		}},
		{name: "no routing directory", changed: main("routing: {directory: gone}\n"), code: 1,
			want: []string{"gone: error: reading the directory: no such file or directory"}},
		{name: "secret missing", changed: map[string]string{"acme.secret": ""}, code: 1,
			want: []string{"realms/hub.yaml:4:57: error: "}},
		{name: "policy file missing", changed: main("policy: {file: gone.yaml}\n"), code: 1,
			want: []string{"gone.yaml: error: reading the policy file: no such file or directory"}},
		{name: "password of Redis missing", changed: main("redis: {address: \"127.0.0.1:6379\", password_file: gone}\n"), code: 1,
			want: []string{"roamgate.yaml:4:51: error: reading the Redis password: open DIR/gone: no such file or directory (a file that holds nothing else, readable for the hub's user)"}},
		{name: "user of Redis without address", changed: main("redis: {username: u}\n"), code: 1,
			want: []string{"roamgate.yaml:4:8: error: redis says more but has no address (add redis.address)"}},
		{name: "address of Redis", changed: main("redis: {address: localhost}\n"), code: 1,
			want: []string{`roamgate.yaml:4:18: error: redis.address "localhost" is not host:port (such as 127.0.0.1:6379)`}},
		{name: "space", changed: main("redis: {address: \"127.0.0.1:6379\"}\npolicy: {space: \"a b\"}\n"), code: 1,
			want: []string{`roamgate.yaml:5:17: error: device: space "a b" is not a name`}},
		{name: "policy twice", changed: main("redis: {address: \"127.0.0.1:6379\"}\npolicy: {file: devices.yaml}\n"), code: 1,
			want: []string{"roamgate.yaml:5:16: error: the device policy is in Redis and in a file (leave one out)"}},
		{name: "identity key missing", changed: main("privacy: {key_file: gone}\n"), code: 1,
			want: []string{"roamgate.yaml:4:21: error: reading the identity key: open DIR/gone: no such file or directory (at least 16 random octets"}},
		{name: "identity key short", changed: main("privacy: {key_file: acme.key}\n"), code: 1,
			want: []string{"roamgate.yaml:4:21: error: reading the identity key: "}},
		{name: "type", changed: main("shards: many\n"), code: 1, want: []string{"roamgate.yaml:4:9: error: shards: "}},
		{name: "shards", changed: main("shards: 257\n"), code: 1, want: []string{"roamgate.yaml:4:9: error: shards is out of range"}},
		{name: "in_flight", changed: main("in_flight: 2000000\n"), code: 1, want: []string{"roamgate.yaml:4:12: error: in_flight is out of range"}},
		{name: "durations", changed: main("duplicates: {keep: 1s}\nspool: {keep: 1s}\npolicy: {budget: 5s}\nrouting: {poll: 1ms}\n"), code: 1, want: []string{
			"roamgate.yaml:4:20: error: duplicates.keep 1s is out of range (5s to 30s (RFC 5080 section 2.2.2))",
			"roamgate.yaml:7:17: error: routing.poll 1ms is out of range",
			"roamgate.yaml:6:18: error: policy.budget 5s is out of range",
			"roamgate.yaml:5:15: error: spool.keep 1s is out of range",
		}},
		{name: "connections", changed: main("connections: {handshake: 1ms, half_open: -1, per_source: 100000, per_client: -1, most: 2000000, idle: 1s, stalled: 1h}\n"), code: 1, want: []string{
			"roamgate.yaml:4:42: error: connections.half_open is out of range (1 to 65536)",
			"roamgate.yaml:4:58: error: connections.per_source is out of range",
			"roamgate.yaml:4:78: error: connections.per_client is out of range",
			"roamgate.yaml:4:88: error: connections.most is out of range",
			"roamgate.yaml:4:26: error: connections.handshake 1ms is out of range (1s to 2m)",
			"roamgate.yaml:4:103: error: connections.idle 1s is out of range (10s to 24h)",
			"roamgate.yaml:4:116: error: connections.stalled 1h0m0s is out of range (1s to 10m)",
		}},
		{name: "doors", changed: map[string]string{"roamgate.yaml": "listen:\n  auth: [\"127.0.0.1:2083\"]\n  radsec: [\"127.0.0.1:2083\"]\n  dtls: [\"127.0.0.1:2083\"]\n  tcp: [\"127.0.0.1:2083\"]\n"}, code: 1, want: []string{
			"roamgate.yaml:4:10: error: 127.0.0.1:2083 is listened on twice (it stands at DIR/roamgate.yaml:2:10 already)",
			"roamgate.yaml:5:9: error: 127.0.0.1:2083 is listened on twice (it stands at DIR/roamgate.yaml:3:12 already)",
		}},
		{name: "no door", changed: map[string]string{"roamgate.yaml": "listen: {auth: [], acct: [], dynauth: [\"127.0.0.1:3799\"]}\n"}, code: 1,
			want: []string{"roamgate.yaml:1:9: error: nothing listens for requests (add listen.auth, listen.radsec or another)"}},
		{name: "doors for nobody", changed: map[string]string{"roamgate.yaml": "listen:\n  auth: []\n  dtls: [\"127.0.0.1:2083\"]\n"}, want: []string{
			`realms/hub.yaml:2:5: warning: client "airport" comes by udp, and nothing listens for it (add listen.auth to the main file)`,
			"roamgate.yaml:3:9: warning: no client comes by dtls: nobody may connect (add one with transport: dtls)",
		}},
		{name: "log", changed: main("log: {format: xml, level: loud}\n"), code: 1, want: []string{
			`roamgate.yaml:4:15: error: log.format "xml" is not known (json or console)`,
			`roamgate.yaml:4:27: error: log.level "loud" is not known (debug, info, warn or error)`,
		}},
		{name: "queue", changed: map[string]string{"roamgate.yaml": "queue: {node: \"a{b}\", trim: now}\n"}, code: 1, want: []string{
			`roamgate.yaml:1:29: error: trim "now" is none of auto, delivered, watermark (auto, delivered or watermark)`,
			"roamgate.yaml:1:15: error: queue.node is part of the queue's name",
		}},
		{name: "no such queue", changed: map[string]string{"roamgate.yaml": "queue: {node: a, to: rabbit}\n"}, code: 1,
			want: []string{`roamgate.yaml:1:22: error: queue.to "rabbit" is not known (clearing, redis, nats or kafka)`}},
		{name: "queues without a server", changed: map[string]string{"roamgate.yaml": "queue: {to: kafka}\n"}, code: 1,
			want: []string{`roamgate.yaml:1:13: error: records go to Kafka but queue.kafka.brokers names none (such as [kafka-1.example:9093])`}},
		{name: "NATS without a server", changed: map[string]string{"roamgate.yaml": "queue: {to: nats, nats: {replicas: 9}}\n"}, code: 1, want: []string{
			`roamgate.yaml:1:13: error: records go to NATS but queue.nats.servers names none (such as [tls://nats-1.example:4222])`,
			`roamgate.yaml:1:36: error: queue.nats.replicas 9 is out of range`,
		}},
		{name: "Redis as a queue without a server", changed: map[string]string{"roamgate.yaml": "queue: {to: redis}\n"}, code: 1,
			want: []string{`roamgate.yaml:1:13: error: records go to Redis but there is no redis.address`}},
		{name: "password of a queue", changed: map[string]string{"roamgate.yaml": "queue: {to: kafka, kafka: {brokers: [\"k:1\"], password_file: gone}}\n"}, code: 1,
			want: []string{`roamgate.yaml:1:61: error: reading the Kafka password: open DIR/gone: no such file or directory`}},
		{name: "credentials of NATS", changed: map[string]string{"roamgate.yaml": "queue: {to: nats, nats: {servers: [\"nats://n:1\"], credentials_file: gone}}\n"}, code: 1,
			want: []string{`roamgate.yaml:1:69: error: reading the NATS credentials: stat DIR/gone: no such file or directory`}},
		{name: "several servers of Redis", changed: main("redis: {address: \"127.0.0.1:6379\", more: [\"127.0.0.1:6380\", here]}\n"), code: 1, want: []string{
			`roamgate.yaml:4:61: error: redis.more.1 "here" is not host:port`,
			`roamgate.yaml:4:42: error: redis has several addresses and is no cluster (cluster: true, or the name`,
		}},
		{name: "cluster and sentinels", changed: main("redis: {address: \"127.0.0.1:6379\", master: m, cluster: true}\n"), code: 1,
			want: []string{`roamgate.yaml:4:56: error: redis is a cluster and has a master that sentinels know (leave one out)`}},
		{name: "cluster with a database", changed: main("redis: {address: \"127.0.0.1:6379\", cluster: true, database: 1}\n"), code: 1,
			want: []string{`roamgate.yaml:4:61: error: a cluster has database 0 only (leave it out)`}},
		{name: "clearing", changed: main("clearing: {keep: 1h, interim: 1s, max_session: 1s}\n"), code: 1, want: []string{
			`roamgate.yaml:4:18: error: clearing.keep 1h0m0s is out of range (at least 24h0m0s)`,
			`roamgate.yaml:4:31: error: clearing.interim 1s is out of range`,
			`roamgate.yaml:4:48: error: clearing.max_session 1s is out of range`,
		}},
		{name: "connection string of PostgreSQL", changed: main("clearing: {postgres_file: gone}\n"), code: 1,
			want: []string{`roamgate.yaml:4:27: error: reading the connection string of PostgreSQL: open DIR/gone: no such file or directory`}},
		{name: "address twice", changed: map[string]string{"roamgate.yaml": "listen:\n  auth: [\"127.0.0.1:1812\"]\n  acct: [\"127.0.0.1:1813\", \"127.0.0.1:1812\"]\n"}, code: 1,
			want: []string{"roamgate.yaml:3:28: error: 127.0.0.1:1812 is listened on twice (it stands at DIR/roamgate.yaml:2:10 already)"}},
		{name: "sources", changed: main("source: {ipv4: \"::1\", ipv6: 127.0.0.1}\n"), code: 1, want: []string{
			"roamgate.yaml:4:16: error: source.ipv4 ::1 is no IPv4 address", "roamgate.yaml:4:29: error: source.ipv6 127.0.0.1 is no IPv6 address",
		}},
		{name: "open administration", changed: map[string]string{"roamgate.yaml": "admin: {listen: \"0.0.0.0:9812\"}\n"},
			want: []string{"roamgate.yaml:1:17: warning: admin.listen is reachable from other hosts and asks for no password"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, path := configuration(t, tc.changed)
			r := command("check", path)
			got := strings.Split(strings.TrimSuffix(r.out, "\n"), "\n")
			if r.out == "" {
				got = nil
			}
			assert.Equal(t, tc.code, r.code)
			require.Len(t, got, len(tc.want), r.out)
			for i, want := range tc.want {
				want = strings.ReplaceAll(want, "DIR", dir)
				assert.Truef(t, strings.HasPrefix(got[i], filepath.Join(dir)+"/"+want), "line %d\n got %s\nwant %s", i, got[i], want)
			}
			assert.Equal(t, tc.code == 1, strings.HasSuffix(r.errs, " found: serve would not start\n"), r.errs)

			// What check refuses, serve refuses with the same words and a
			// count; neither shows a secret nor makes a file.
			if tc.code == 1 {
				s := command("serve", "--config", path)
				assert.Equal(t, exitProblem, s.code)
				assert.Equal(t, r.out, strings.SplitN(s.errs, "\n", 2)[1])
			}
			assert.NotContains(t, r.out+r.errs, "-secret-")
			assert.NoDirExists(t, filepath.Join(dir, "spool"))
		})
	}
}

func TestCheckJSON(t *testing.T) {
	dir, path := configuration(t, map[string]string{
		"roamgate.yaml": goodMain + "log: {level: loud}\npolicy: {file: devices.yaml}\n",
		"devices.yaml":  goodPolicy + "  - {nai: bob@acme.example, profile: metre}\n",
	})
	r := command("check", "--format", "json", "--config", path)
	assert.Equal(t, exitProblem, r.code)
	type row struct {
		File           string
		Line, Column   int
		Severity, Text string
		Hint           string
	}
	var got []row
	for line := range strings.Lines(r.out) {
		var p row
		require.NoError(t, json.Unmarshal([]byte(line), &p))
		got = append(got, p)
	}
	assert.Equal(t, []row{
		{path, 4, 14, "error", `log.level "loud" is not known`, "debug, info, warn or error"},
		{filepath.Join(dir, "devices.yaml"), 6, 38, "error", `there is no profile "metre"`, ""},
	}, got)
	assert.Equal(t, "roamgate: 2 errors found: serve would not start\n", r.errs)
}

// TestUnreadableFiles needs an account that permissions hold for.
func TestUnreadableFiles(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Log("root reads everything: only the kinds that hold for root are tested")
	}
	dir, path := configuration(t, map[string]string{"roamgate.yaml": goodMain + "privacy: {key_file: keys}\n"})
	require.NoError(t, os.Mkdir(filepath.Join(dir, "keys"), 0o700))
	r := command("check", path)
	assert.Equal(t, exitProblem, r.code)
	assert.Equal(t, path+":4:21: error: reading the identity key: read "+filepath.Join(dir, "keys")+
		": is a directory (at least 16 random octets; without the key one is made beside the spool)\n", r.out)
}
