package dict

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
)

const vectorFiles = "../../../test/vectors/diameter/*.txt"

func vectors(t testing.TB) []Vector {
	t.Helper()
	files, err := filepath.Glob(vectorFiles)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var all []Vector
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		v, err := Vectors(string(b))
		require.NoError(t, err, name)
		require.NotEmpty(t, v, name)
		all = append(all, v...)
	}
	return all
}

func TestVectorsReadBack(t *testing.T) {
	for _, v := range vectors(t) {
		text := Format(v.Raw)
		back, err := Parse(text)
		require.NoError(t, err, "%s:\n%s", v.Name, text)
		assert.Equal(t, v.Raw, back, "%s:\n%s", v.Name, text)
	}
}

func TestFormat(t *testing.T) {
	const text = `ULR app=S6a flags=RP+f hbh=0x1 e2e=0xffffffff
Session-Id: mme.visited.example;1;2
Vendor-Specific-Application-Id:
  Vendor-Id: 10415
  Auth-Application-Id: 16777251
  0x0102
Vendor-Specific-Application-Id:
  Vendor-Id: 10415
  Proxy-Info:
    Proxy-State[pad=0x]: 0x01
User-Name[-]: "a\nb"
Host-IP-Address: 192.0.2.1
Host-IP-Address: ::ffff:192.0.2.1
Host-IP-Address: 0x000801
NAS-IP-Address: 192.0.2.7
Event-Timestamp: 2036-02-07T06:28:16Z
Event-Timestamp: 2026-01-01T00:00:00Z
Accounting-Record-Type: STOP_RECORD
Accounting-Record-Type: 77
Accounting-Input-Octets: 18446744073709551615
RAT-Type: EUTRAN-NB-IoT
Visited-PLMN-Id: 0x00f110
Class: "opaque"
Class: 0x
Session-Timeout: 0x010203
AVP-4711[VMP+1]: 0x
AVP-10415-99999[M,pad=0x000001]: 0x00
0xffffffffff
`
	const want = `ULR app=S6a flags=RP+f hbh=0x1 e2e=0xffffffff
Session-Id: mme.visited.example;1;2
Vendor-Specific-Application-Id: 0x0000010a4000000c000028af000001024000000c010000230102
`
	raw, err := Parse(text)
	require.NoError(t, err)
	again := Format(raw)
	assert.Contains(t, again, want, "a group with a rest is octets")
	back, err := Parse(again)
	require.NoError(t, err)
	assert.Equal(t, raw, back)
	for _, line := range []string{
		"    Proxy-State[pad=0x]: 0x01\n", "User-Name[-]: \"a\\nb\"\n", "Host-IP-Address: ::ffff:192.0.2.1\n", "Host-IP-Address: 0x000801\n", "NAS-IP-Address: 192.0.2.7\n",
		"Event-Timestamp: 2036-02-07T06:28:16Z\n", "Accounting-Record-Type: STOP_RECORD\n", "Accounting-Record-Type: 77\n", "RAT-Type: EUTRAN-NB-IoT\n",
		"Class: \"opaque\"\n", "Class: 0x\n", "Session-Timeout: 0x010203\n", "AVP-4711[VMP+1]: 0x\n", "AVP-10415-99999[M,pad=0x000001]: 0x00\n", "\n0xffffffffff\n",
	} {
		assert.Contains(t, again, line)
	}
}

func TestParse(t *testing.T) {
	raw, err := Parse("# said shortly\nULR\n\nUser-Name: 1\n")
	require.NoError(t, err)
	h := diameter.ReadHeader(raw)
	assert.Equal(t, diameter.Header{Length: 32, Flags: 0xc0, Command: 316, Application: diameter.AppS6a}, h)
	raw, err = Parse("DWA hbh=7")
	require.NoError(t, err)
	assert.Equal(t, diameter.Header{Length: 20, Command: 280, HopByHop: 7}, diameter.ReadHeader(raw))
	raw, err = Parse("C-4711-R app=4711 version=9 len=3\nUser-Name[len=4]: 1")
	require.NoError(t, err)
	assert.Equal(t, "C-4711-R app=4711 flags=RP hbh=0x0 e2e=0x0 version=9 len=3\n0x000000014000000431000000\n", Format(raw))
}

func TestParseRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":           {"# nothing\n", "no message"},
		"no command":        {"XYZ", `no command "XYZ"`},
		"not its direction": {"ULR flags=P", `what is "flags=P"`},
		"unknown flag":      {"ULR flags=RX", `what is "flags=RX"`},
		"unknown word":      {"ULR colour=red", `what is "colour=red"`},
		"unknown app":       {"ULR app=nowhere", `what is "app=nowhere"`},
		"unknown AVP":       {"ULR\nUser-Nam: 1", `line 2: "User-Nam: 1": no AVP "User-Nam"`},
		"no colon":          {"ULR\nUser-Name", "a colon"},
		"no number":         {"ULR\nSession-Timeout: x", "no Unsigned32"},
		"too large":         {"ULR\nSession-Timeout: 4294967296", "no Unsigned32"},
		"no octets":         {"ULR\nClass: x", "octets are"},
		"odd hex":           {"ULR\nClass: 0x1", "odd length"},
		"no address":        {"ULR\nHost-IP-Address: x", "no address"},
		"other family":      {"ULR\nNAS-IP-Address: ::1", "no address of its family"},
		"open bracket":      {"ULR\nUser-Name[M: 1", "a bracket is open"},
		"bad note":          {"ULR\nUser-Name[Q]: 1", `what is "Q"`},
		"too far in":        {"ULR\n    User-Name: 1", "indented too far"},
		"octets and more":   {"0x01\nULR", "octets alone"},
	} {
		_, err := Parse(tt.text)
		require.Error(t, err, name)
		assert.Contains(t, err.Error(), tt.want, name)
	}
}

func TestNames(t *testing.T) {
	assert.Equal(t, "ULR", CommandName(316, true))
	assert.Equal(t, "DWA", CommandName(280, false))
	assert.Equal(t, "C-4711-R", CommandName(4711, true))
	assert.Equal(t, "S6a", AppName(diameter.AppS6a))
	assert.Equal(t, "4711", AppName(4711))
	assert.Equal(t, "Visited-PLMN-Id", Name(1407, 10415))
	assert.Equal(t, "AVP-1407", Name(1407, 0))
	assert.Equal(t, "UNABLE_TO_DELIVER", ResultName(0, 3002))
	assert.Equal(t, "ERROR_ROAMING_NOT_ALLOWED", ResultName(10415, 5004))
	assert.Equal(t, "INVALID_AVP_VALUE", ResultName(0, 5004))
	assert.Equal(t, "5999", ResultName(10415, 5999))
	assert.Equal(t, "3GPP", VendorName(10415))
	c, request, ok := CommandNamed("ula")
	assert.Equal(t, "Update-Location", c.Name)
	assert.True(t, ok)
	assert.False(t, request)
	_, _, ok = CommandNamed("C-99999999-R")
	assert.False(t, ok, "24 bits")
	id, ok := AppNamed("s6A")
	assert.True(t, ok)
	assert.EqualValues(t, diameter.AppS6a, id)
	at, ok := AVPNamed("avp-10415-1407")
	assert.True(t, ok)
	assert.Equal(t, "Visited-PLMN-Id", at.Name)
}

func FuzzText(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.Raw)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 {
			return
		}
		text := Format(b)
		back, err := Parse(text)
		require.NoError(t, err, "%s", text)
		require.Equal(t, b, back, "%s", text)
	})
}
