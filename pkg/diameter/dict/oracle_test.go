package dict_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	godict "github.com/fiorix/go-diameter/v4/diam/dict"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter/dict"
	"github.com/roamgate/roamgate/test/peer"
)

// same are types of others that are ours by another name.
var same = map[string]string{
	"IPAddress": "Address", "AppId": "Unsigned32", "VendorId": "Unsigned32", "OctetStringOrUTF8": "OctetString", "DiameterIdent": "DiameterIdentity",
}

func fold(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "-", " ", "-", "/", "-", "'", "", "TGPP", "3GPP").Replace(strings.TrimSpace(name)))
}

// fact is what another dictionary says of an AVP.
type fact struct{ name, typ string }

// compareFacts checks what both dictionaries have, against the differences that are
// known. Of the list nothing may be left over.
func compareFacts(t *testing.T, theirs map[[2]uint32][]fact, known map[string]string, least int) {
	t.Helper()
	seen, compared := map[string]bool{}, 0
	for _, a := range dict.AVPs() {
		facts := theirs[[2]uint32{a.Vendor, a.Code}]
		if len(facts) == 0 {
			continue
		}
		compared++
		var said []string
		agreed := false
		for _, f := range facts {
			typ := f.typ
			if s := same[typ]; s != "" {
				typ = s
			}
			agreed = agreed || fold(f.name) == strings.ToLower(a.Name) && typ == a.Type.String()
			said = append(said, f.name+" "+f.typ)
		}
		switch key := fmt.Sprintf("%s %s", a.Name, a.Type); {
		case agreed:
		case known[key] == "":
			t.Errorf("%d of vendor %d is %q to us, %q to them", a.Code, a.Vendor, key, said)
		default:
			seen[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(known)) {
		assert.True(t, seen[key], "%s: nobody says otherwise", key)
	}
	assert.GreaterOrEqual(t, compared, least)
}

// Why we differ.
const (
	address  = "four or sixteen octets without a family (RFC 7155, TS 29.061)"
	unsigned = "RFC 6733, RFC 7155: Unsigned32"
	charging = "TS 32.299"
	sip      = "TS 29.229 and TS 32.299 call it so; RFC 4740 has another one, which no hub meets"
)

var wiresharkDiffers = map[string]string{
	"3GPP-CG-Address IPv4":                               address,
	"3GPP-CG-IPv6-Address IPv6":                          address,
	"3GPP-GGSN-Address IPv4":                             address,
	"3GPP-GGSN-IPv6-Address IPv6":                        address,
	"3GPP-IMEISV UTF8String":                             "TS 29.061: digits",
	"3GPP-SGSN-Address IPv4":                             address,
	"3GPP-SGSN-IPv6-Address IPv6":                        address,
	"Access-Network-Information OctetString":             charging,
	"Acct-Input-Gigawords Unsigned32":                    unsigned,
	"Acct-Input-Packets Unsigned32":                      unsigned,
	"Acct-Multi-Session-Id UTF8String":                   "RFC 6733 section 9.8.5 calls it so",
	"Acct-Output-Gigawords Unsigned32":                   unsigned,
	"Acct-Output-Packets Unsigned32":                     unsigned,
	"Authorization-Lifetime Unsigned32":                  unsigned,
	"Call-Barring-Info Grouped":                          "TS 29.272 calls it so",
	"Cause-Code Integer32":                               charging,
	"Change-Condition Integer32":                         charging,
	"Chargeable-User-Identity OctetString":               "RFC 4372 calls it so, and it is opaque",
	"Codec-Data OctetString":                             "TS 29.214 section 5.3.7",
	"Diagnostics Integer32":                              charging,
	"EAP-Key-Name OctetString":                           "RFC 4072 section 4.1.4",
	"Experimental-Result-Code Unsigned32":                unsigned,
	"Framed-IP-Address IPv4":                             address,
	"Framed-IP-Netmask IPv4":                             address,
	"Framed-IPX-Network Unsigned32":                      unsigned,
	"Inband-Security-Id Unsigned32":                      unsigned,
	"Login-IP-Host IPv4":                                 address,
	"Login-IPv6-Host IPv6":                               address,
	"MMTel-SService-Type Unsigned32":                     charging,
	"Message-Authenticator OctetString":                  "RFC 3579 calls it so",
	"Monitoring-Event-Configuration-Activity Unsigned32": charging,
	"Monitoring-Event-Functionality Unsigned32":          charging,
	"NAS-IP-Address IPv4":                                address,
	"NAS-IPv6-Address IPv6":                              address,
	"Number-Of-Participants Unsigned32":                  charging,
	"PPR-Address Address":                                "TS 29.173 calls it so",
	"Reporting-Reason Enumerated":                        charging,
	"Result-Code Unsigned32":                             unsigned,
	"SIP-Auth-Data-Item Grouped":                         sip,
	"SIP-Authenticate OctetString":                       sip,
	"SIP-Authentication-Scheme UTF8String":               sip,
	"SIP-Authorization OctetString":                      sip,
	"SIP-Item-Number Unsigned32":                         sip,
	"SIP-Method UTF8String":                              sip,
	"SIP-Number-Auth-Items Unsigned32":                   sip,
	"Service-Mode Unsigned32":                            charging,
	"Session-Binding Unsigned32":                         unsigned,
	"Vendor-Specific OctetString":                        "no AVP of Diameter: RADIUS carries octets in it",
}

var goDiameterDiffers = map[string]string{
	"3GPP-GGSN-Address IPv4":                 address,
	"3GPP-NSAPI UTF8String":                  "TS 29.061: a digit",
	"3GPP-SGSN-Address IPv4":                 address,
	"3GPP-Session-Stop-Indicator UTF8String": "TS 29.061",
	"Acct-Session-Id OctetString":            "RFC 6733 section 9.8.4 calls it so",
	"Cx-User-Data OctetString":               "TS 29.229 calls it User-Data, as TS 29.329 calls another",
	"Framed-IP-Address IPv4":                 address,
	"Framed-IP-Netmask IPv4":                 address,
	"Load-Value Unsigned64":                  "RFC 8583 section 6.3",
	"Login-IP-Host IPv4":                     address,
	"Login-IPv6-Host IPv6":                   address,
	"Termination-Action Enumerated":          "it lacks the vendor of TWAN-Identifier",
	"Tunnel-Connection-ID OctetString":       "RFC 7155 calls it Acct-Tunnel-Connection, RADIUS and Wireshark as we do",
	"Type-Number Enumerated":                 charging,
}

// D47: Wireshark calls each AVP as we do, and gives it that type.
func TestWireshark(t *testing.T) {
	peer.Need(t, "tshark")
	compareFacts(t, wiresharkFacts(t), wiresharkDiffers, 900)
}

var (
	comment  = regexp.MustCompile(`(?s)<!--.*?-->`)
	element  = regexp.MustCompile(`<(avp|type|grouped|vendor)\b([^>]*)>`)
	property = regexp.MustCompile(`([\w-]+)\s*=\s*"([^"]*)"`)
)

func wiresharkFacts(t *testing.T) map[[2]uint32][]fact {
	t.Helper()
	files, err := filepath.Glob("/usr/share/wireshark/diameter/*.xml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	facts := map[[2]uint32][]fact{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		var last *fact
		for _, e := range element.FindAllStringSubmatch(comment.ReplaceAllString(string(b), ""), -1) {
			p := map[string]string{}
			for _, kv := range property.FindAllStringSubmatch(e[2], -1) {
				p[kv[1]] = kv[2]
			}
			switch e[1] {
			case "avp":
				vendor, known := map[string]uint32{"": 0, "None": 0, "TGPP": 10415}[p["vendor-id"]]
				code, err := strconv.ParseUint(p["code"], 10, 32)
				if last = nil; known && err == nil {
					key := [2]uint32{vendor, uint32(code)}
					facts[key] = append(facts[key], fact{name: p["name"]})
					last = &facts[key][len(facts[key])-1]
				}
			case "type", "grouped":
				if last != nil && last.typ == "" {
					if last.typ = p["type-name"]; e[1] == "grouped" {
						last.typ = "Grouped"
					}
				}
			}
		}
	}
	return facts
}

func TestGoDiameter(t *testing.T) {
	facts := map[[2]uint32][]fact{}
	for _, app := range godict.Default.Apps() {
		for _, a := range app.AVP {
			key := [2]uint32{a.VendorID, a.Code}
			facts[key] = append(facts[key], fact{a.Name, a.Data.TypeName})
		}
	}
	compareFacts(t, facts, goDiameterDiffers, 300)
	for _, app := range godict.Default.Apps() {
		for _, c := range app.Command {
			ours, ok := dict.FindCommand(c.Code)
			if !ok {
				continue
			}
			assert.Equal(t, c.Short, ours.Short, "%s", c.Name)
		}
	}
}
