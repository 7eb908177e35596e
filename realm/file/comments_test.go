package file

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestComments(t *testing.T) {
	assert.Equal(t, map[string]string{
		"a": "of a", "a.b": "of b, goes on", "a.c": "of c, and of its list", "d": "the section", "d.e": "once",
	}, Comments([]byte(`a: # of a
  b: "# 1"     # of b,
               # goes on
  c:           # of c,
    - 1        # and of
    - 2        # its list
  x: 1
d:             # the section
  - e: 1       # once
  # of nobody
  - e: 2       # twice
  - f: 2
`)))
	assert.Nil(t, Comments([]byte("a: |\n  # b\n")))
	assert.Nil(t, Comments(nil))
}

// TestReferenceDescribes: of every key the reference says something beside it.
func TestReferenceDescribes(t *testing.T) {
	text, err := os.ReadFile("../../configs/realms/00-hub.yaml")
	require.NoError(t, err)
	said := Comments(text)
	diameter, err := os.ReadFile("../../configs/realms/90-diameter.yaml")
	require.NoError(t, err)
	for path, text := range Comments(diameter) {
		if said[path] == "" {
			said[path] = text
		}
	}
	for _, path := range []string{
		"peers.name", "peers.identity", "peers.realm", "peers.origins", "peers.takes", "peers.host", "peers.port", "peers.transport", "peers.tls", "peers.certificate",
		"peers.from", "peers.protected", "peers.applications", "peers.connections", "peers.watchdog", "peers.retry", "peers.rate", "peers.burst", "peers.queue", "peers.in_flight",
		"peers.hide_topology", "peers.screening", "screenings.name", "screenings.rules", "screenings.rules.origin_own", "screenings.rules.home_realm", "screenings.rules.visited_plmn", "screenings.rules.velocity", "screenings.refuse", "screenings.networks", "screenings.learn", "screenings.travel", "screenings.requests", "screenings.subscribers",
		"steerings.networks", "steerings.preferred", "steerings.reject", "steerings.give_up", "steerings.memory", "steerings.last_resort", "steerings.result", "steerings.devices", "realms.steering", "peers.disabled", "peers.drain", "peers.group", "peers.realms", "homes.application", "pools.peers", "realms.diameter", "realms.diameter.action",
		"realms.diameter.deadline", "realms.diameter.hosts", "realms.diameter.usage", "realms.diameter.max_cache", "realms.diameter.result", "realms.when.application", "realms.when.command",
		"identity.allow", "identity.own", "loops.proxy_states", "loops.hop_attribute", "loops.hops", "filters.profile", "filters.rules",
		"groups.kind", "groups.realms", "groups.operator_name", "groups.in", "groups.out", "clients.address", "clients.secret_file",
		"clients.group", "clients.dynauth", "clients.hide_nas", "homes.address", "homes.host", "homes.drain", "homes.maintenance", "homes.dynauth",
		"pools.homes", "pools.homes.weight", "pools.balance", "pools.panic", "pools.breaker", "realms.realm", "realms.imsi", "realms.plmn",
		"realms.realm_regexp", "realms.name_regexp", "realms.rank", "realms.groups", "realms.when", "realms.when.percent", "realms.rewrite", "realms.cui", "realms.discover",
		"groups.protected", "tls.certificate", "tls.key", "tls.authorities", "tls.policies", "tls.crls", "tls.fetch_crls", "tls.crl_hosts", "tls.revocation", "tls.versions",
		"tls.min_version", "clients.transport", "clients.tls", "clients.certificate", "clients.certificate.anyone", "homes.transport", "homes.tls", "homes.port",
		"homes.certificate", "homes.connections", "homes.protected", "discoveries.profile", "discoveries.auth", "discoveries.accounting", "discoveries.srv",
		"discoveries.certificate", "discoveries.public_3gpp", "discoveries.private", "discoveries.ports", "discoveries.peers", "discoveries.rate", "discoveries.idle",
	} {
		assert.NotEmpty(t, said[path], path)
	}
}
