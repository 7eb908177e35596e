package judge

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/diameter/dict"
	"github.com/roamgate/roamgate/test/mutation"
	"github.com/roamgate/roamgate/test/peer"
)

func message(t *testing.T, text string) []byte {
	t.Helper()
	b, err := dict.Parse(text)
	require.NoError(t, err)
	return b
}

// D47: the judge finds what there is to be found.
func TestFaults(t *testing.T) {
	peer.Need(t, "tshark")
	cases := []struct{ name, text, want string }{
		{"nothing", "ULR\nSession-Id: x\nUser-Name: 002020000000001", ""},
		{"unknown", "ULR\nAVP-4711: 0x01\nAVP-4711-4711: 0x01", ""},
		{"no value", "ULA\nFailed-AVP:\n  Session-Id: 0x", ""},
		{"reserved bits of the header", "ULR flags=RP+f\nSession-Id: x\nUser-Name: 002020000000001", ""},
		{"a number in Failed-AVP", "ULA\nSession-Id: x\nFailed-AVP:\n  Session-Timeout: 0x010203\nUser-Name: 002020000000001", ""},
		{"a number beside Failed-AVP", "ULA\nSession-Id: x\nFailed-AVP:\n  Session-Timeout: 0x010203\nSession-Timeout: 0x0102", "Bad Unsigned32 Length (2)"},
		{"no AVP in Failed-AVP", "ULA\nSession-Id: x\nFailed-AVP: 0x0000000140000063", "Wrong AVP(1) length 99"},
		{"opaque", "DER\nSession-Id: x\nEAP-Payload: 0x01", ""},
		{"EAP of another length", "DER\nSession-Id: x\nEAP-Payload: 0x0105003001", ""},
		{"length", "ULR\nSession-Id: x\nUser-Name[len=99]: abc", "Wrong AVP(1) length 99"},
		{"short header", "ULR\nSession-Id: x\nUser-Name[len=4]: abc", "Malformed Packet"},
		{"number", "ULR\nSession-Id: xxx\nSession-Timeout: 0x010203", "Bad Unsigned32 Length (3)"},
		{"address", "CER\nOrigin-Host: x\nHost-IP-Address: 0x00010a", "Wrong length for IPv4 Address"},
		{"in a group", "ULR\nVendor-Specific-Application-Id:\n  Vendor-Id: 0x01", "Bad Unsigned32 Length (1)"},
		{"padding that is missing", "ULR\nUser-Name[pad=0x]: abc", "no message"},
	}
	var messages [][]byte
	for _, tt := range cases {
		messages = append(messages, message(t, tt.text))
	}
	all, err := each(messages)
	require.NoError(t, err)
	for i, tt := range cases {
		if tt.want == "" {
			assert.Empty(t, all[i], tt.name)
			continue
		}
		require.NotEmpty(t, all[i], tt.name)
		assert.Contains(t, all[i][0], tt.want, tt.name)
	}
}

func TestCollect(t *testing.T) {
	peer.Need(t, "tshark")
	require.Zero(t, verdict(), "nothing was collected")
	Collect(message(t, "DWR hbh=1 e2e=1\nOrigin-Host: dwr.example"))
	Collect(message(t, "DWR hbh=2 e2e=2\nOrigin-Host: dwr.example"))
	assert.Len(t, collected.messages, 1, "they differ in their identifiers only")
	assert.Zero(t, verdict())
	Collect(message(t, "ULR\nSession-Id: xxx\nSession-Timeout: 0x010203"))
	assert.Equal(t, 1, verdict())
	collected.messages, collected.seen = nil, nil
}

// D47: What breaks a good message is found, in whichever AVP of whichever command it is:
// lengths that do not fit, integers of another size, header bits that exclude each other.
// An AVP without a value is no fault, as Failed-AVPs have them.
func TestMutations(t *testing.T) {
	peer.Need(t, "tshark")
	b, err := os.ReadFile("../vectors/diameter/valid.txt")
	require.NoError(t, err)
	vectors, err := dict.Vectors(string(b))
	require.NoError(t, err)
	var messages [][]byte
	var names []string
	for _, v := range vectors {
		mutation.Each(v.Raw, func(name string, raw []byte) bool {
			var m diameter.Message
			switch fault := m.Parse(raw); {
			case fault == diameter.BadAVPSize && strings.HasSuffix(name, ": nothing"):
			case fault == diameter.BadAVPLength, fault == diameter.BadAVPSize, fault == diameter.BadBits:
				messages, names = append(messages, bytes.Clone(raw)), append(names, v.Name+": "+name)
			}
			return true
		})
	}
	all, err := each(messages)
	require.NoError(t, err)
	require.Greater(t, len(all), 4000)
	var missed []string
	for i, bad := range all {
		if len(bad) == 0 {
			missed = append(missed, names[i])
		}
	}
	assert.LessOrEqual(t, len(missed), len(all)/1000, "beside a broken SMS, whose faults are its peer's: %q", missed)
}

// D47: The vectors that call themselves valid are so to Wireshark, which finds the same AVPs
// in them as we do.
func TestValidVectors(t *testing.T) {
	peer.Need(t, "tshark")
	b, err := os.ReadFile("../vectors/diameter/valid.txt")
	require.NoError(t, err)
	vectors, err := dict.Vectors(string(b))
	require.NoError(t, err)
	var messages [][]byte
	for _, v := range vectors {
		messages = append(messages, v.Raw)
	}
	Judge(t, messages...)
	found, err := Dissect(messages, "diameter.cmd.code", "diameter.applicationId", "diameter.avp.code", "diameter.avp.vendorId")
	require.NoError(t, err)
	for i, v := range vectors {
		var m diameter.Message
		require.Equal(t, diameter.NoFault, m.Parse(v.Raw), v.Name)
		var codes, vendors []string
		var walk func(avps []byte)
		walk = func(avps []byte) {
			var a diameter.AVP
			c := diameter.Walk(avps)
			for c.Next(&a) {
				codes = append(codes, decimal(a.Code))
				if a.Vendor != 0 {
					vendors = append(vendors, decimal(a.Vendor))
				}
				if at, _ := dict.AVP(a.Code, a.Vendor); at.Type == dict.Grouped {
					walk(a.Data)
				}
			}
			assert.Nil(t, c.Bad(), v.Name)
		}
		walk(m.Body())
		want := []string{decimal(m.Command), decimal(m.Application), strings.Join(codes, separator), strings.Join(vendors, separator)}
		assert.Equal(t, want, found[i], v.Name)
	}
}

func decimal(n uint32) string {
	return dict.Value(dict.Attr{Type: dict.Unsigned32}, []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}
