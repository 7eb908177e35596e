package peer

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Radclient is one run of radclient.
type Radclient struct {
	Server  netip.AddrPort
	Secret  string
	Command string // auth, acct, status
	// Attributes as radclient reads them, such as `User-Name = "a@b"`.
	// `Message-Authenticator = 0x00` adds a computed one.
	Attributes []string
	Timeout    time.Duration // for each try; 10 s when zero
	Retries    int           // tries; 2 when zero
}

// Reply is what radclient received.
type Reply struct {
	Code       string // Access-Accept and so on, empty when nothing came
	Attributes map[string][]string
	Names      []string // of the attributes, in the order of the packet
	Output     string   // all that radclient printed
}

var received = regexp.MustCompile(`(?m)^Received ([A-Za-z-]+) Id `)

// Run sends the request and returns the answer. No answer is no failure of
// the test: Code is empty then.
func (r Radclient) Run(t testing.TB) *Reply {
	t.Helper()
	Need(t, "radclient")
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(secret, []byte(r.Secret+"\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dictionary"), nil, 0o600))

	timeout, tries := r.Timeout, r.Retries
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	if tries == 0 {
		tries = 2
	}
	cmd := exec.Command("radclient", "-x", "-d", dir, "-S", secret,
		"-t", fmt.Sprintf("%.1f", timeout.Seconds()), "-r", fmt.Sprint(tries), r.Server.String(), r.Command)
	cmd.Stdin = strings.NewReader(strings.Join(r.Attributes, "\n") + "\n")
	p := Start(t, "radclient", cmd)
	// A reject and a timeout end it with 1: the output says which it was.
	_ = p.Wait(timeout*time.Duration(tries) + stopLimit)
	return parseReply(p.Output())
}

func parseReply(out string) *Reply {
	r := &Reply{Attributes: map[string][]string{}, Output: out}
	at := received.FindStringSubmatchIndex(out)
	if at == nil {
		return r
	}
	r.Code = out[at[2]:at[3]]
	lines := strings.Split(out[at[1]:], "\n")
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, " = ")
		if !ok || !strings.HasPrefix(name, "\t") {
			break
		}
		name = strings.TrimSpace(name)
		r.Names = append(r.Names, name)
		r.Attributes[name] = append(r.Attributes[name], strings.Trim(value, `"`))
	}
	return r
}
