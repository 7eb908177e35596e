package dict

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/radius"
)

var texts = []struct {
	name, text string
	raw        string // hex
	format     string // as Format prints it, if not "name = text"
}{
	{"User-Name", `"a@b.c"`, "01076140622e63", ""},
	{"User-Name", "a@b.c", "01076140622e63", `User-Name = "a@b.c"`},
	{"Session-Timeout", "3600", "1b0600000e10", ""},
	{"Acct-Status-Type", "Stop", "280600000002", ""},
	{"acct-status-type", "interim-update", "280600000003", "Acct-Status-Type = Interim-Update"},
	{"Acct-Status-Type", "99", "280600000063", ""},
	{"NAS-IP-Address", "192.0.2.1", "0406c0000201", ""},
	{"NAS-IPv6-Address", "2001:db8::1", "5f1220010db8000000000000000000000001", ""},
	{"Framed-IPv6-Prefix", "2001:db8:1::/48", "610a003020010db80001", ""},
	{"Framed-IPv6-Prefix", "::/0", "61040000", ""},
	{"Framed-Interface-Id", "0001:0203:0405:0607", "600a0001020304050607", ""},
	{"Event-Timestamp", "2026-11-21T12:00:00Z", "37066b0187c0", ""},
	{"Event-Timestamp", "0", "370600000000", "Event-Timestamp = 1970-01-01T00:00:00Z"},
	{"Class", "0x00ff", "190400ff", ""},
	{"Class", "text", "190674657874", "Class = 0x74657874"},
	{"Class", "0x", "1902", ""},
	{"Tunnel-Type", "VLAN", "40060000000d", ""},
	{"Tunnel-Type:1", "VLAN", "40060100000d", ""},
	{"Tunnel-Private-Group-Id:31", `"100"`, "51061f313030", ""},
	{"Tunnel-Private-Group-Id", `"100"`, "5105313030", ""},
	{"Error-Cause", "Proxy-Request-Not-Routable", "6506000001f6", ""},
	{"WISPr-Bandwidth-Max-Up", "1000000", "1a0c0000372a0706000f4240", ""},
	{"3GPP-RAT-Type", "NR", "1a09000028af150333", ""},
	{"Cisco-AVPair", `"a=b"`, "1a0b000000090105613d62", ""},
	{"HS20-AP-Version", "2", "1a0900009f68020302", ""},
	{"Operator-NAS-Identifier", "0x0102", "f105080102", ""},
	{"Original-Packet-Code", "1", "f1070400000001", ""},
	{"Attr-200", "0x01", "c80301", ""},
	{"Attr-26.4711.3", "0x01", "1a0900001267030301", ""},
	{"Attr-241.99", "0x01", "f1046301", ""},
	{"Session-Timeout", "0x0102", "1b040102", ""},
	{"NAS-IP-Address", "0x0102030405", "04070102030405", ""}, // R083
	{"Vendor-Specific", "0x00000009", "1a0600000009", ""},
	{"Operator-Name", `"1home.example"`, "7e0f31686f6d652e6578616d706c65", ""},
}

func TestEncodeAndFormat(t *testing.T) {
	for _, tt := range texts {
		t.Run(tt.name+" "+tt.text, func(t *testing.T) {
			raw, err := Encode(tt.name, tt.text)
			require.NoError(t, err)
			assert.Equal(t, tt.raw, hex.EncodeToString(raw))
			want := tt.format
			if want == "" {
				want = tt.name + " = " + tt.text
			}
			assert.Equal(t, want, Format(raw))
		})
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"No-Such-Thing", "1", "no attribute"},
		{"User-Password", "x", "hidden"},
		{"MS-MPPE-Send-Key", "x", "hidden"},
		{"Session-Timeout", "soon", "Session-Timeout"},
		{"Session-Timeout", "4294967296", "out of range"},
		{"3GPP-RAT-Type", "256", "out of range"},
		{"NAS-IP-Address", "::1", "ipaddr"},
		{"NAS-IPv6-Address", "192.0.2.1", "ipv6addr"},
		{"NAS-IPv6-Address", "fe80::1%eth0", "ipv6addr"},
		{"NAS-IP-Address", "here", "unable to parse"},
		{"Framed-IPv6-Prefix", "2001:db8::1/48", "ipv6prefix"},
		{"Framed-IPv6-Prefix", "10.0.0.0/8", "ipv6prefix"},
		{"Framed-IPv6-Prefix", "x", "no '/'"},
		{"Framed-Interface-Id", "1:2", "interface id"},
		{"Event-Timestamp", "yesterday", "invalid syntax"},
		{"Class", "0x0", "odd length"},
		{"User-Name", `"open`, "invalid syntax"},
		{"User-Name", strings.Repeat("a", 254), "do not fit"},
		{"Cisco-AVPair", strings.Repeat("a", 248), "do not fit"},
		{"User-Name:1", "a", "no tag"},
		{"Tunnel-Type:32", "VLAN", "tag"},
		{"Tunnel-Type:x", "VLAN", "tag"},
		{"Tunnel-Type:1", "16777216", "24 bits"},
	} {
		t.Run(tt.name+" "+tt.want, func(t *testing.T) {
			_, err := Encode(tt.name, tt.text)
			require.Error(t, err)
			assert.Contains(t, err.Error(), tt.want)
		})
	}
	_, err := Encode("User-Password", "x")
	assert.ErrorIs(t, err, ErrHidden)
}

func TestFormatOdd(t *testing.T) {
	for _, tt := range []struct{ name, raw, want string }{
		{"control octets are quoted", "01051b5b33", `User-Name = "\x1b[3"`},
		{"hidden", "0212" + strings.Repeat("00", 16), "User-Password = <hidden>"},
		{"hidden in a VSA", "1a0a00000137100412ab", "MS-MPPE-Send-Key = <hidden>"},
		{"R077 empty VSA", "1a02", "Vendor-Specific = 0x"},
		{"R079 inner overrun", "1a0900000009012061", "Vendor-Specific = 0x00000009012061"},
		{"R080 inner length 0", "1a0900000009010061", "Vendor-Specific = 0x00000009010061"},
		{"two in one", "1a0c000000090103610203" + "62", `Cisco-AVPair = "a", Cisco-NAS-Port = "b"`},
		{"short", "01", "malformed = 0x01"},
		{"wrong length", "0104", "malformed = 0x0104"},
		{"prefix with octets behind", "610c002020010db8ffffffff", "Framed-IPv6-Prefix = 0x002020010db8ffffffff"},
		{"prefix too long", "6104008120010db8"[:8], "Framed-IPv6-Prefix = 0x0081"},
		{"tagged number short", "40030d", "Tunnel-Type = 0x0d"},
		{"extended without type", "f102", "Extended-Attribute-1 = 0x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw, err := hex.DecodeString(tt.raw)
			require.NoError(t, err)
			assert.Equal(t, tt.want, Format(raw))
		})
	}
}

// FuzzEncode: no text panics, what is made is one whole attribute, and what
// Format prints of it makes the same again.
func FuzzEncode(f *testing.F) {
	for _, tt := range texts {
		f.Add(tt.name, tt.text)
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		raw, err := Encode(name, text)
		if err != nil {
			return
		}
		if len(raw) < 2 || len(raw) > 2+radius.MaxValue || int(raw[1]) != len(raw) {
			t.Fatalf("%q %q made %x", name, text, raw)
		}
		again(t, raw)
	})
}

// FuzzFormat: no octets panic, none reach the terminal as they are, and what is
// printed means the same octets.
func FuzzFormat(f *testing.F) {
	for _, tt := range texts {
		raw, _ := hex.DecodeString(tt.raw)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, r := range Format(raw) {
			if r < ' ' || r == 0x7f {
				t.Fatalf("%x prints %q", raw, Format(raw))
			}
		}
		if len(raw) >= 2 && int(raw[1]) == len(raw) {
			again(t, raw)
		}
	})
}

func again(t *testing.T, raw []byte) {
	text := Format(raw)
	name, value, _ := strings.Cut(text, " = ")
	if value == "<hidden>" || strings.Contains(text, ", ") && raw[0] == byte(radius.VendorSpecific) {
		return
	}
	got, err := Encode(name, value)
	if err != nil {
		t.Fatalf("%x prints %s: %v", raw, text, err)
	}
	a, _ := Lookup(strings.Split(name, ":")[0])
	if string(got) != string(raw) && a.Data != IPv6Prefix {
		t.Fatalf("%x prints %s, which makes %x", raw, text, got)
	}
	if Format(got) != text {
		t.Fatalf("%s makes %x, which prints %s", text, got, Format(got))
	}
}
