package catalogue

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Method is an EAP method with the credentials that it takes.
type Method struct {
	Name    string `json:"name"`
	Hostapd string `json:"hostapd"` // EAP type, and its authentication parameters
}

// The methods; 5 is the kind of credential: 1 a SIM, 2 a USIM, 6 a certificate,
// 7 a user name with its password. 2 is what is asked inside of TTLS (4:
// MS-CHAPv2), 3 the inner EAP method.
var (
	TLS      = Method{"tls", "13[5:6]"}
	TTLS     = Method{"ttls", "21[2:4][5:7]"}
	PEAP     = Method{"peap", "25[3:26][5:7]"}
	SIM      = Method{"sim", "18[5:1]"}
	AKA      = Method{"aka", "23[5:2]"}
	AKAPrime = Method{"aka-prime", "50[5:2]"}
)

var methods = []Method{TLS, TTLS, PEAP, SIM, AKA, AKAPrime}

// MethodNames are the words for methods.
func MethodNames() (names []string) {
	for _, m := range methods {
		names = append(names, m.Name)
	}
	return names
}

// MethodOf finds a method by its word.
func MethodOf(name string) (Method, bool) {
	i := slices.IndexFunc(methods, func(m Method) bool { return m.Name == name })
	if i < 0 {
		return Method{}, false
	}
	return methods[i], true
}

// What hostapd 2.10 takes of each, and what ANQP can carry.
const (
	mostInLine   = 10        // realms of an nai_realm
	mostOctets   = 255       // of their names together
	mostMethods  = 5         // of a realm
	mostNetworks = 42        // of anqp_3gpp_cell_net
	mostLine     = 4095      // octets of a line
	mostElement  = 1<<16 - 1 // octets of an ANQP element
)

// Limits says what of an offer is more than hostapd takes, nil: nothing.
func (o *Offer) Limits() error {
	const narrow = "ask for one client or group"
	if n := len(o.Networks); n > mostNetworks {
		return fmt.Errorf("%d mobile networks: hostapd takes %d (anqp_3gpp_cell_net); %s", n, mostNetworks, narrow)
	}
	if n := len("domain_name=") + len(strings.Join(o.Domains, ",")); n > mostLine {
		return fmt.Errorf("the %d domain names are a line of %d octets: hostapd takes %d; %s", len(o.Domains), n, mostLine, narrow)
	}
	octets := 2 // their count
	for i := range o.Realms {
		if n := len(o.Realms[i].EAP); n > mostMethods {
			return fmt.Errorf("%d EAP methods: hostapd takes %d of a realm", n, mostMethods)
		}
		if n := len(o.Realms[i].Realm); n > mostOctets {
			return fmt.Errorf("a realm of %d octets: hostapd takes %d", n, mostOctets)
		}
	}
	for _, l := range o.lines() {
		octets += 5 + len(l.names) // length, encoding, length of the names, count of the methods
		for _, m := range l.methods {
			octets += 3 + 3*strings.Count(m.Hostapd, "[")
		}
	}
	if octets > mostElement {
		return fmt.Errorf("the %d realms are %d octets: ANQP carries %d; %s", len(o.Realms), octets, mostElement, narrow)
	}
	return nil
}

// line is an nai_realm: realms that are authenticated at alike.
type line struct {
	names   string
	n       int
	wide    bool // beyond ASCII
	methods []Method
}

// lines packs realms.
func (o *Offer) lines() (all []line) {
	for i := range o.Realms {
		r := &o.Realms[i]
		wide := strings.IndexFunc(r.Realm, func(c rune) bool { return c >= utf8.RuneSelf }) >= 0
		if n := len(all); n > 0 {
			l := &all[n-1]
			if l.n < mostInLine && l.wide == wide && slices.Equal(l.methods, r.EAP) && len(l.names)+1+len(r.Realm) <= mostOctets {
				l.names += ";" + r.Realm
				l.n++
				continue
			}
		}
		all = append(all, line{r.Realm, 1, wide, r.EAP})
	}
	return all
}

// WriteHostapd writes the offer as lines of a hostapd configuration, for the part
// of one BSS.
func (c *Catalogue) WriteHostapd(w io.Writer) error {
	if err := c.Limits(); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Passpoint catalogue %s, of roamgate\ninterworking=1\n", c.Hash)
	if len(c.Domains) > 0 {
		fmt.Fprintf(&b, "domain_name=%s\n", strings.Join(c.Domains, ","))
	}
	for _, oi := range c.Consortia {
		fmt.Fprintf(&b, "roaming_consortium=%s\n", oi)
	}
	for _, l := range c.lines() {
		encoding := 0
		if l.wide {
			encoding = 1
		}
		fmt.Fprintf(&b, "nai_realm=%d,%s", encoding, l.names)
		for _, m := range l.methods {
			b.WriteString("," + m.Hostapd)
		}
		b.WriteByte('\n')
	}
	for i, n := range c.Networks {
		sep := ";"
		if i == 0 {
			sep = "anqp_3gpp_cell_net="
		}
		b.WriteString(sep + n.MCC + "," + n.MNC)
	}
	if len(c.Networks) > 0 {
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}
