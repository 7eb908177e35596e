package aaa

import (
	"encoding/binary"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/radius/dict"
)

// Question asks what the hub would do with a request, without sending one.
type Question struct {
	NAI         string
	Client      string // name or address of a client, "" any
	Accounting  bool
	IMSI        string    // 3GPP-IMSI
	Station     string    // Calling-Station-Id
	CUI         string    // Chargeable-User-Identity
	SSID        string    // that the device has joined, in Called-Station-Id
	Operator    string    // Operator-Name with its digit
	RCOI        string    // roaming consortium that the device has chosen, in hexadecimal
	NASPortType int       // -1 absent
	RATType     int       // -1 absent
	At          time.Time // zero: now
	Attributes  []string  // more of them, as Name=value
}

// texts are the parts of a question that are texts, by their keys.
func (q *Question) texts() map[string]*string {
	return map[string]*string{
		"client": &q.Client, "imsi": &q.IMSI, "station": &q.Station, "cui": &q.CUI,
		"ssid": &q.SSID, "operator": &q.Operator, "rcoi": &q.RCOI,
	}
}

// Values encodes the question for the administration port.
func (q *Question) Values() url.Values {
	v := url.Values{"nai": {q.NAI}}
	for k, s := range q.texts() {
		if *s != "" {
			v.Set(k, *s)
		}
	}
	if q.Accounting {
		v.Set("kind", "acct")
	}
	if q.NASPortType >= 0 {
		v.Set("nas_port_type", strconv.Itoa(q.NASPortType))
	}
	if q.RATType >= 0 {
		v.Set("rat_type", strconv.Itoa(q.RATType))
	}
	if !q.At.IsZero() {
		v.Set("at", q.At.Format(time.RFC3339))
	}
	if len(q.Attributes) > 0 {
		v["avp"] = q.Attributes
	}
	return v
}

// ParseQuestion is the inverse of Values.
func ParseQuestion(v url.Values) (q Question, err error) {
	q = Question{NAI: v.Get("nai"), Accounting: v.Get("kind") == "acct", Attributes: v["avp"]}
	for k, s := range q.texts() {
		*s = v.Get(k)
	}
	number := func(k string, limit int) int {
		s := v.Get(k)
		if s == "" {
			return -1
		}
		n, e := strconv.Atoi(s)
		if e != nil || n < 0 || n > limit {
			err = fmt.Errorf("%s: not a number from 0 to %d", k, limit)
		}
		return n
	}
	q.NASPortType, q.RATType = number("nas_port_type", 1<<31-1), number("rat_type", 255)
	if at := v.Get("at"); at != "" {
		var e error
		if q.At, e = time.Parse(time.RFC3339, at); e != nil {
			err = fmt.Errorf("at: not a time such as 2026-03-01T12:00:00Z")
		}
	}
	if err == nil {
		_, err = q.packet()
	}
	return q, err
}

// someStation stands in front of an SSID, where access points write their own.
const someStation = "02-00-00-00-00-00:"

// packet is the request that the question is about, as far as it says.
func (q *Question) packet() (*radius.Packet, error) {
	code := radius.AccessRequest
	if q.Accounting {
		code = radius.AccountingRequest
	}
	b := append(make([]byte, radius.HeaderLen, radius.MaxLen), byte(radius.UserName), byte(2+len(q.NAI)))
	if b[0] = byte(code); len(q.NAI) > radius.MaxValue {
		return nil, fmt.Errorf("the name has %d octets, a User-Name holds %d", len(q.NAI), radius.MaxValue)
	}
	b = append(b, q.NAI...)
	var err error
	add := func(name, value string, given bool) {
		if !given || err != nil {
			return
		}
		var raw []byte
		if raw, err = dict.Encode(name, value); err == nil {
			b = append(b, raw...)
		}
	}
	text := func(name, value string) { add(name, strconv.Quote(value), value != "") }
	text("Calling-Station-Id", q.Station)
	text("Chargeable-User-Identity", q.CUI)
	text("3GPP-IMSI", q.IMSI)
	text("Operator-Name", q.Operator)
	if q.SSID != "" {
		text("Called-Station-Id", someStation+q.SSID)
	}
	add("Attr-26.40808.6", "0x"+strings.ReplaceAll(q.RCOI, "-", ""), q.RCOI != "")
	add("NAS-Port-Type", strconv.Itoa(q.NASPortType), q.NASPortType >= 0)
	add("Attr-26.10415.21", fmt.Sprintf("0x%02x", q.RATType), q.RATType >= 0)
	for _, avp := range q.Attributes {
		name, value, _ := strings.Cut(avp, "=")
		add(strings.TrimSpace(name), strings.TrimSpace(value), true)
	}
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint16(b[2:], uint16(min(len(b), 1<<16-1)))
	p := new(radius.Packet)
	if why := p.Parse(b); why != radius.OK {
		return nil, fmt.Errorf("no packet holds so much: %s", why)
	}
	return p, nil
}
