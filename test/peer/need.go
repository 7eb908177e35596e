package peer

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// packages names the Debian package of each program.
var packages = map[string]string{
	"freeradius":   "freeradius",
	"radclient":    "freeradius-utils",
	"radsecproxy":  "radsecproxy",
	"eapol_test":   "eapoltest",
	"redis-server": "redis-server",
	"postgres":     "postgresql",

	"freeDiameterd": "freediameterd, freediameter-extensions",
	"erl":           "erlang-diameter",
	"tshark":        "tshark",

	"openssl":       "openssl",
	"hostapd":       "hostapd",
	"nsd":           "nsd",
	"unbound":       "unbound",
	"ldns-keygen":   "ldnsutils",
	"ldns-signzone": "ldnsutils",
}

// Need makes sure that the named programs are installed. In CI a missing one
// fails the test; elsewhere it skips it and says which package to install.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	var missing []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p+" (package "+packages[p]+")")
		}
	}
	if len(missing) == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("missing %s: test/setup.sh installs it", strings.Join(missing, ", "))
	}
	t.Skipf("missing %s: test/setup.sh installs it", strings.Join(missing, ", "))
}
