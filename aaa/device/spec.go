package device

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/roamgate/roamgate/realm"
)

// ProfileSpec is a profile as operators write it, in YAML and in Redis (JSON).
// An empty list or zero limits nothing.
type ProfileSpec struct {
	// Name is what devices refer to: 1 to 64 letters, digits, '.', '_', '-'.
	Name string `yaml:"name" json:"name"`
	// Deny refuses every device of the profile.
	Deny bool `yaml:"deny,omitempty" json:"deny,omitempty"`
	// DenyReason is shown to operators, at most 128 octets.
	DenyReason string `yaml:"deny_reason,omitempty" json:"deny_reason,omitempty"`
	// Operators are the visited operators allowed, as in a client's operator.
	Operators []string `yaml:"operators,omitempty" json:"operators,omitempty"`
	// Countries are ISO 3166-1 alpha-2 codes of visited networks allowed.
	Countries []string `yaml:"countries,omitempty" json:"countries,omitempty"`
	// NASPortTypes are the NAS-Port-Type values allowed, by name or number.
	NASPortTypes []string `yaml:"nas_port_types,omitempty" json:"nas_port_types,omitempty"`
	// RATTypes are the 3GPP-RAT-Type values allowed, by name or number.
	RATTypes []string `yaml:"rat_types,omitempty" json:"rat_types,omitempty"`
	// ValidFrom and ValidUntil (RFC 3339) bound the service; the end is outside.
	ValidFrom  string `yaml:"valid_from,omitempty" json:"valid_from,omitempty"`
	ValidUntil string `yaml:"valid_until,omitempty" json:"valid_until,omitempty"`
	// AttemptsPerHour is how many conversations a device may begin: that many
	// at once, then spread over the hour.
	AttemptsPerHour uint32 `yaml:"attempts_per_hour,omitempty" json:"attempts_per_hour,omitempty"`
	// SessionTimeout and InterimInterval are durations in whole seconds ("4h").
	SessionTimeout  string `yaml:"session_timeout,omitempty" json:"session_timeout,omitempty"`
	InterimInterval string `yaml:"interim_interval,omitempty" json:"interim_interval,omitempty"`
	// BandwidthUp and BandwidthDown are bit/s.
	BandwidthUp   uint32 `yaml:"bandwidth_up,omitempty" json:"bandwidth_up,omitempty"`
	BandwidthDown uint32 `yaml:"bandwidth_down,omitempty" json:"bandwidth_down,omitempty"`
	// FilterIDs are Filter-Id values for the answer, at most 8.
	FilterIDs []string `yaml:"filter_ids,omitempty" json:"filter_ids,omitempty"`
	// DailyVolume is a cap in octets for one UTC day ("500MB", "2GiB").
	DailyVolume string `yaml:"daily_volume,omitempty" json:"daily_volume,omitempty"`
	// Class is the device class for counters and records: a name like Name.
	Class string `yaml:"class,omitempty" json:"class,omitempty"`
	// VisitedPLMNs are the mobile networks allowed, as "262-01", or "262" for all of a
	// country.
	VisitedPLMNs []string `yaml:"visited_plmns,omitempty" json:"visited_plmns,omitempty"`
	// IMEIs are the equipment allowed: IMEIs of 14 to 16 digits, or the first eight,
	// which name its type (TAC).
	IMEIs []string `yaml:"imeis,omitempty" json:"imeis,omitempty"`
	// LockIMEI keeps each device to the equipment that it was first let in with.
	LockIMEI bool `yaml:"lock_imei,omitempty" json:"lock_imei,omitempty"`
	// RoamingDays is how many days a device may be seen in one country that is not
	// its own; RoamingAction is reject, or warn, which only counts.
	RoamingDays   uint16 `yaml:"roaming_days,omitempty" json:"roaming_days,omitempty"`
	RoamingAction string `yaml:"roaming_action,omitempty" json:"roaming_action,omitempty"`
	// Critical devices are never held back by attempts_per_hour.
	Critical bool `yaml:"critical,omitempty" json:"critical,omitempty"`
}

// FieldError says what is wrong with one field of a ProfileSpec or DeviceSpec.
type FieldError struct {
	Field string // as written in YAML
	Text  string
}

func (e FieldError) Error() string { return e.Field + ": " + e.Text }

const (
	maxList      = 4096
	maxFilterIDs = 8
	minInterim   = 60  // RFC 2869 section 5.16: MUST NOT be smaller
	lowInterim   = 600 // RFC 2869 section 5.16: SHOULD NOT be smaller
)

// Compile checks s. problems make the profile unusable; warnings do not.
func (s *ProfileSpec) Compile() (p *Profile, problems, warnings []FieldError) {
	c := compiler{}
	p = &Profile{
		Name: s.Name, Class: s.Class, Critical: s.Critical, Deny: s.Deny, DenyText: s.DenyReason,
		AttemptsPerHour: s.AttemptsPerHour, period: attemptPeriod(s.AttemptsPerHour),
	}
	c.check(validName(s.Name), "name", "must be 1 to 64 letters, digits, '.', '_' or '-'")
	c.check(s.Class == "" || validName(s.Class), "class", "must be 1 to 64 letters, digits, '.', '_' or '-'")
	c.check(len(s.DenyReason) <= 128 && printable(s.DenyReason), "deny_reason", "must be at most 128 octets of printable text")
	c.check(s.DenyReason == "" || s.Deny, "deny_reason", "needs deny: true")
	c.check(s.AttemptsPerHour <= 3_600_000, "attempts_per_hour", "must be at most 3600000")
	p.operators = c.operators(s.Operators)
	p.countries = c.countries(s.Countries)
	p.ports = c.values("nas_port_types", s.NASPortTypes, nasPortTypes)
	p.rats = c.values("rat_types", s.RATTypes, ratTypes)
	p.from, p.until = c.instant("valid_from", s.ValidFrom), c.instant("valid_until", s.ValidUntil)
	c.check(p.from == 0 || p.until == 0 || p.from < p.until, "valid_until", "must be after valid_from")
	p.SessionTimeout = c.seconds("session_timeout", s.SessionTimeout)
	p.InterimInterval = c.seconds("interim_interval", s.InterimInterval)
	c.check(p.InterimInterval == 0 || p.InterimInterval >= minInterim, "interim_interval", "must be at least 60s (RFC 2869 section 5.16)")
	if p.InterimInterval >= minInterim && p.InterimInterval < lowInterim {
		c.warnings = append(c.warnings, FieldError{"interim_interval", "should be at least 600s (RFC 2869 section 5.16)"})
	}
	p.DailyVolume = c.octets("daily_volume", s.DailyVolume)
	c.filterIDs(s.FilterIDs)
	p.networks, p.imeis = c.networks(s.VisitedPLMNs), c.imeis(s.IMEIs)
	p.LockIMEI, p.RoamingDays, p.RoamingWarn = s.LockIMEI, s.RoamingDays, s.RoamingAction == "warn"
	c.check(slices.Contains([]string{"", "warn", "reject"}, s.RoamingAction), "roaming_action", "is neither warn nor reject")
	c.check(s.RoamingAction == "" || s.RoamingDays > 0, "roaming_action", "needs roaming_days")
	if len(c.problems) > 0 {
		return nil, c.problems, c.warnings
	}
	p.encode(s)
	return p, nil, c.warnings
}

type compiler struct{ problems, warnings []FieldError }

func (c *compiler) check(ok bool, field, text string) {
	if !ok {
		c.problems = append(c.problems, FieldError{field, text})
	}
}

func (c *compiler) operators(list []string) map[string]struct{} {
	if len(list) == 0 {
		return nil
	}
	c.check(len(list) <= maxList, "operators", "has more than 4096 entries")
	m := make(map[string]struct{}, len(list))
	for _, o := range list {
		// RFC 5580 section 4.1: a namespace digit, then the name.
		c.check(len(o) >= 2 && len(o) <= 253 && printable(o), "operators",
			fmt.Sprintf("%q is not an Operator-Name: a namespace digit and a name", o))
		m[o] = struct{}{}
	}
	return m
}

func (c *compiler) countries(list []string) *countrySet {
	if len(list) == 0 {
		return nil
	}
	s := &countrySet{}
	for _, name := range list {
		i, ok := countryBit(name)
		c.check(ok, "countries", fmt.Sprintf("%q is not two capital letters (ISO 3166-1 alpha-2)", name))
		s[i>>6] |= 1 << (i & 63)
	}
	return s
}

func (c *compiler) values(field string, list []string, names map[string]uint8) *byteSet {
	if len(list) == 0 {
		return nil
	}
	s := &byteSet{}
	for _, name := range list {
		v, ok := names[strings.ToLower(name)]
		if !ok {
			n, err := strconv.ParseUint(name, 10, 8)
			v, ok = uint8(n), err == nil
		}
		c.check(ok, field, fmt.Sprintf("%q is neither a known name nor a number up to 255", name))
		s.add(v)
	}
	return s
}

func (c *compiler) instant(field, text string) int64 {
	if text == "" {
		return 0
	}
	t, err := time.Parse(time.RFC3339, text)
	c.check(err == nil && t.Unix() > 0, field, fmt.Sprintf("%q is not a time such as 2027-01-31T00:00:00Z", text))
	return t.Unix()
}

func (c *compiler) seconds(field, text string) uint32 {
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	c.check(err == nil && d >= time.Second && d%time.Second == 0 && d.Seconds() <= 1<<31, field,
		fmt.Sprintf("%q is not a duration of whole seconds such as 4h or 600s", text))
	return uint32(d / time.Second)
}

var octetUnits = []struct {
	suffix string
	scale  uint64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

func (c *compiler) octets(field, text string) uint64 {
	if text == "" {
		return 0
	}
	for _, u := range octetUnits {
		digits, found := strings.CutSuffix(text, u.suffix)
		if !found {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 64)
		if err == nil && n > 0 && n <= (1<<62)/u.scale {
			return n * u.scale
		}
		break
	}
	c.check(false, field, fmt.Sprintf("%q is not an amount such as 500MB or 2GiB", text))
	return 0
}

func (c *compiler) filterIDs(ids []string) {
	c.check(len(ids) <= maxFilterIDs, "filter_ids", "has more than 8 entries")
	for _, id := range ids {
		c.check(len(id) >= 1 && len(id) <= 253 && printable(id), "filter_ids",
			fmt.Sprintf("%q is not 1 to 253 octets of printable text", id))
	}
}

func (c *compiler) networks(list []string) *realm.Networks {
	c.check(len(list) <= maxList, "visited_plmns", "has more than 4096 entries")
	all := make([]realm.Network, 0, len(list))
	for _, text := range list {
		n, ok := realm.ParseNetwork(text)
		c.check(ok, "visited_plmns", fmt.Sprintf("%q is not a network such as 262-01, nor a country such as 262", text))
		all = append(all, n)
	}
	return realm.NewNetworks(all)
}

func (c *compiler) imeis(list []string) map[string]struct{} {
	if len(list) == 0 {
		return nil
	}
	c.check(len(list) <= maxList, "imeis", "has more than 4096 entries")
	m := make(map[string]struct{}, len(list))
	for _, text := range list {
		imei := equipment([]byte(text))
		if len(text) == tacDigits && digits(text) {
			imei = []byte(text)
		}
		c.check(imei != nil, "imeis", "an entry is neither an IMEI of 14 to 16 digits nor its first eight")
		m[string(imei)] = struct{}{}
	}
	return m
}

func validName(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func printable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f }) < 0
}

// nasPortTypes are the names of RFC 2865 section 5.41 and its registry that a
// roaming network sends.
var nasPortTypes = map[string]uint8{
	"async": 0, "sync": 1, "isdn": 2, "virtual": 5, "xdsl": 16, "ethernet": 15, "cable": 17,
	"wireless-other": 18, "wireless-802.11": 19, "wireless-umts": 23, "wireless-1x-ev": 24,
	"wireless-802.16": 27, "femtocell": 42,
}

// ratTypes are the names of 3GPP-RAT-Type (TS 29.061 section 16.4.7.2).
var ratTypes = map[string]uint8{
	"utran": 1, "geran": 2, "wlan": 3, "gan": 4, "hspa-evolution": 5, "eutran": 6, "virtual": 7,
	"nb-iot": 8, "lte-m": 9, "nr": 10, "ng-ran": 51,
}
