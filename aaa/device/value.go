package device

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// maxValue bounds a value of the store.
const maxValue = 64 << 10

// schema is the version of the values written here and the only one read.
const schema = "1"

// value is what the store keeps for a device.
type value struct {
	version uint32
	flags   uint8
	profile string
}

// appendValue writes the value of the device called name:
//
//	1 7 - meter 20:imsi:262011234567890
//
// schema, version, flags ("-" none, "b" blocked), profile, and the name with
// its length, so that a value under another key and one cut short are noticed.
func appendValue(dst []byte, v value, name string) []byte {
	dst = strconv.AppendUint(append(dst, schema+" "...), uint64(v.version), 10)
	flags := " - "
	if v.flags&flagBlocked != 0 {
		flags = " b "
	}
	dst = append(append(dst, flags...), v.profile...)
	dst = strconv.AppendInt(append(dst, ' '), int64(len(name)), 10)
	return append(append(dst, ':'), name...)
}

// decodeValue reads the value of the device called name. It never panics; what
// it refuses has a Fault.
func decodeValue(s, name string) (v value, why Fault, ok bool) {
	switch {
	case s == "":
		return v, FaultEmpty, false
	case len(s) > maxValue:
		return v, FaultTooLarge, false
	}
	version, rest, more := strings.Cut(s, " ")
	if !digits(version) {
		return v, FaultMalformed, false
	}
	if version != schema {
		return v, FaultVersion, false
	}
	if !more {
		return v, FaultTruncated, false
	}
	var field [3]string
	for i := range field {
		if field[i], rest, more = strings.Cut(rest, " "); !more {
			return v, FaultTruncated, false
		}
	}
	n, err := strconv.ParseUint(field[0], 10, 64)
	if err != nil || !validName(field[2]) || field[1] != "-" && field[1] != "b" {
		return v, FaultMalformed, false
	}
	v = value{version: uint32(n), profile: field[2]}
	if field[1] == "b" {
		v.flags = flagBlocked
	}
	why, ok = ownName(rest, name)
	return v, why, ok
}

// ownName checks "len:name".
func ownName(s, name string) (Fault, bool) {
	length, own, more := strings.Cut(s, ":")
	switch n, err := strconv.ParseUint(length, 10, 16); {
	case !more && (length == "" || digits(length)):
		return FaultTruncated, false
	case !more || err != nil:
		return FaultMalformed, false
	case uint64(len(own)) < n:
		return FaultTruncated, false
	case uint64(len(own)) > n:
		return FaultMalformed, false
	}
	if own != name {
		return FaultMismatch, false
	}
	return 0, true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// profileValue is the JSON of a profile in the store.
type profileValue struct {
	Schema int `json:"v"`
	ProfileSpec
}

func encodeProfile(s *ProfileSpec) ([]byte, error) {
	return json.Marshal(profileValue{Schema: 1, ProfileSpec: *s})
}

// decodeProfile reads and compiles the profile called name. Unknown fields are
// refused: a restriction this program does not know must not be ignored.
func decodeProfile(b []byte, name string) (s *ProfileSpec, p *Profile, why Fault, ok bool) {
	switch {
	case len(b) == 0:
		return nil, nil, FaultEmpty, false
	case len(b) > maxValue:
		return nil, nil, FaultTooLarge, false
	}
	var peek struct {
		Schema int `json:"v"`
	}
	if err := json.Unmarshal(b, &peek); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) && syntax.Offset >= int64(len(b)) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, nil, FaultTruncated, false
		}
		return nil, nil, FaultMalformed, false
	}
	if peek.Schema != 1 {
		return nil, nil, FaultVersion, false
	}
	var v profileValue
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		return nil, nil, FaultMalformed, false
	}
	if v.Name != name {
		return nil, nil, FaultMismatch, false
	}
	p, problems, _ := v.Compile()
	if len(problems) > 0 {
		return nil, nil, FaultMalformed, false
	}
	return &v.ProfileSpec, p, 0, true
}
