package device

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/roamgate/roamgate/pkg/nai"
)

// DeviceSpec is a device as operators write it: exactly one of IMSI, MAC, CUI
// (with Realm) and NAI names it.
type DeviceSpec struct {
	IMSI  string `yaml:"imsi,omitempty" json:"imsi,omitempty"`
	MAC   string `yaml:"mac,omitempty" json:"mac,omitempty"`
	CUI   string `yaml:"cui,omitempty" json:"cui,omitempty"`
	Realm string `yaml:"realm,omitempty" json:"realm,omitempty"` // of CUI
	NAI   string `yaml:"nai,omitempty" json:"nai,omitempty"`
	// Profile is the name of the device's profile.
	Profile string `yaml:"profile" json:"profile"`
	// Blocked refuses this one device, whatever its profile says.
	Blocked bool `yaml:"blocked,omitempty" json:"blocked,omitempty"`
}

// ParseDevice reads the canonical text of an identity, as in the store's keys:
// imsi:..., mac:..., cui:LENGTH:REALM:VALUE or nai:...
func ParseDevice(text string) (DeviceSpec, error) {
	kind, rest, ok := strings.Cut(text, ":")
	var d DeviceSpec
	switch {
	case !ok:
	case kind == "imsi":
		d.IMSI = rest
	case kind == "mac":
		d.MAC = rest
	case kind == "nai":
		d.NAI = rest
	case kind == "cui":
		length, rest, _ := strings.Cut(rest, ":")
		n, err := strconv.ParseUint(length, 10, 8)
		if err != nil || len(rest) < int(n)+1 || rest[n] != ':' {
			return DeviceSpec{}, errors.New("identity is not cui:LENGTH:REALM:VALUE")
		}
		d.Realm, d.CUI = rest[:n], rest[n+1:]
	}
	if _, problems := d.identity(); len(problems) > 0 {
		return DeviceSpec{}, errors.New("identity is not imsi:DIGITS, mac:ADDRESS, cui:LENGTH:REALM:VALUE or nai:USER@REALM")
	}
	return d, nil
}

// Identity gives the canonical text of the device's identity.
func (d *DeviceSpec) Identity() (string, error) {
	b, problems := d.identity()
	if len(problems) > 0 {
		return "", problems[0]
	}
	return string(b), nil
}

// identity builds the same octets as appendIdentity does for a request. Its
// problems never quote the identity.
func (d *DeviceSpec) identity() ([]byte, []FieldError) {
	given := 0
	for _, s := range []string{d.IMSI, d.MAC, d.CUI, d.NAI} {
		if s != "" {
			given++
		}
	}
	if given != 1 {
		return nil, []FieldError{{"", "needs exactly one of imsi, mac, cui and nai"}}
	}
	if d.Realm != "" && d.CUI == "" {
		return nil, []FieldError{{"realm", "goes with cui only"}}
	}
	switch {
	case d.IMSI != "":
		if !isIMSI([]byte(d.IMSI)) {
			return nil, []FieldError{{"imsi", "must be 6 to 15 digits, in quotes"}}
		}
		return []byte("imsi:" + d.IMSI), nil
	case d.MAC != "":
		mac, n, ok := parseMAC([]byte(d.MAC))
		if !ok || n < len(d.MAC) {
			return nil, []FieldError{{"mac", "must be a MAC address such as 00-11-22-33-44-55"}}
		}
		return appendMAC([]byte("mac:"), mac), nil
	case d.CUI != "":
		return d.cui()
	}
	return d.nai()
}

func (d *DeviceSpec) cui() ([]byte, []FieldError) {
	if len(d.CUI) > 253 || d.CUI == "\x00" {
		return nil, []FieldError{{"cui", "must be 1 to 253 octets and not NUL"}}
	}
	if len(d.Realm) > 253 {
		return nil, []FieldError{{"realm", "must be at most 253 octets"}}
	}
	return appendCUI(nil, fold(d.Realm), []byte(d.CUI)), nil
}

func (d *DeviceSpec) nai() ([]byte, []FieldError) {
	user, realm, _ := strings.Cut(d.NAI, "@")
	if len(d.NAI) > 253 || strings.Contains(realm, "@") {
		return nil, []FieldError{{"nai", "must be user@realm of at most 253 octets"}}
	}
	// A 3GPP identity is looked up as its IMSI, so it is kept as one.
	if imsi, ok := imsiOfNAI([]byte(user), fold(realm)); ok {
		return append([]byte("imsi:"), imsi...), nil
	}
	return appendNAI(nil, []byte(user), fold(realm)), nil
}

// fold makes a realm what a device is looked up by. One that is longer than a
// User-Name is nobody's.
func fold(s string) []byte {
	var buf [nai.MaxLen]byte
	if b := nai.Fold(&buf, []byte(s)); b != nil {
		return b
	}
	return []byte(s)
}

func (d *DeviceSpec) value(version uint64) value {
	v := value{version: uint32(version), profile: d.Profile}
	if d.Blocked {
		v.flags = flagBlocked
	}
	return v
}

// check gives the identity of a complete device.
func (d *DeviceSpec) check() ([]byte, error) {
	ident, problems := d.identity()
	if len(problems) > 0 {
		return nil, problems[0]
	}
	if !validName(d.Profile) {
		return nil, fmt.Errorf("profile: %q is not a profile name", d.Profile)
	}
	return ident, nil
}
