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

// Method is an EAP method as eapol_test speaks it.
type Method uint8

// The methods whose keys every home here can derive.
const (
	PEAPMSCHAPv2 Method = iota
	TTLSPAP
	EAPTLS
)

// Methods are all of them.
var Methods = []Method{PEAPMSCHAPv2, TTLSPAP, EAPTLS}

// String names the method.
func (m Method) String() string {
	return [...]string{"PEAP-MSCHAPv2", "TTLS-PAP", "EAP-TLS"}[m]
}

// EAPOL is one run of eapol_test: a device and its access point in one.
type EAPOL struct {
	Server       netip.AddrPort
	Secret       string
	Method       Method
	Identity     string // the NAI; the outer identity is anonymous@ its realm
	Password     string
	Certificates *Certificates
	Timeout      time.Duration // a minute when zero
}

// EAPResult is what eapol_test found.
type EAPResult struct {
	Success bool
	// KeysOK says that the MPPE keys of the Access-Accept equal those which
	// the device derived by itself.
	KeysOK bool
	// SendKey and RecvKey are the keys of the Access-Accept as decrypted with
	// the NAS's secret, in lower case hex.
	SendKey, RecvKey string
	Output           string
}

var (
	keysLine = regexp.MustCompile(`(?m)^MPPE keys OK: (\d+)  mismatch: (\d+)$`)
	sendKey  = regexp.MustCompile(`(?m)^MS-MPPE-Send-Key \(sign\) - hexdump\(len=\d+\): ([0-9a-f ]+)$`)
	recvKey  = regexp.MustCompile(`(?m)^MS-MPPE-Recv-Key \(crypt\) - hexdump\(len=\d+\): ([0-9a-f ]+)$`)
)

// Run authenticates once.
func (e EAPOL) Run(t testing.TB) *EAPResult {
	t.Helper()
	Need(t, "eapol_test")
	limit := e.Timeout
	if limit == 0 {
		limit = time.Minute
	}
	conf := filepath.Join(t.TempDir(), "eapol.conf")
	require.NoError(t, os.WriteFile(conf, []byte(e.network()), 0o600))
	p := Start(t, "eapol_test", exec.Command("eapol_test", "-c", conf,
		"-a", e.Server.Addr().String(), "-p", fmt.Sprint(e.Server.Port()), "-s", e.Secret,
		"-t", fmt.Sprint(int(limit.Seconds()))))
	err := p.Wait(limit + stopLimit)
	out := p.Output()
	r := &EAPResult{Success: err == nil && strings.HasSuffix(strings.TrimSpace(out), "SUCCESS"), Output: out}
	if m := keysLine.FindStringSubmatch(out); m != nil {
		r.KeysOK = m[1] == "1" && m[2] == "0"
	}
	r.SendKey, r.RecvKey = lastHex(sendKey, out), lastHex(recvKey, out)
	return r
}

func (e EAPOL) network() string {
	lines := []string{`key_mgmt=WPA-EAP`, `ssid="roamgate"`, `identity="` + e.Identity + `"`, `ca_cert="` + e.Certificates.CA + `"`}
	_, realm, _ := strings.Cut(e.Identity, "@")
	tunnelled := []string{`anonymous_identity="anonymous@` + realm + `"`, `password="` + e.Password + `"`}
	switch e.Method {
	case PEAPMSCHAPv2:
		lines = append(append(lines, tunnelled...), `eap=PEAP`, `phase2="auth=MSCHAPV2"`)
	case TTLSPAP:
		lines = append(append(lines, tunnelled...), `eap=TTLS`, `phase2="auth=PAP"`)
	case EAPTLS:
		lines = append(lines, `eap=TLS`, `client_cert="`+e.Certificates.ClientCert+`"`, `private_key="`+e.Certificates.ClientKey+`"`)
	}
	return "network={\n\t" + strings.Join(lines, "\n\t") + "\n}\n"
}

func lastHex(r *regexp.Regexp, out string) string {
	all := r.FindAllStringSubmatch(out, -1)
	if len(all) == 0 {
		return ""
	}
	return strings.ReplaceAll(strings.TrimSpace(all[len(all)-1][1]), " ", "")
}
