package dict

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"layeh.com/radius/debug"
	"layeh.com/radius/dictionary"

	"github.com/roamgate/roamgate/pkg/radius"
)

func TestNames(t *testing.T) {
	assert.Equal(t, "Session-Timeout", Name(radius.SessionTimeout))
	assert.Equal(t, "Attr-200", Name(200))
	assert.Equal(t, "WISPr-Bandwidth-Max-Up", VendorName(14122, 7))
	assert.Equal(t, "3GPP-IMSI", VendorName(radius.Vendor3GPP, 1))
	assert.Equal(t, "Attr-26.14122.99", VendorName(14122, 99))
	assert.Equal(t, "Microsoft", Vendor(311))
	assert.Equal(t, "4711", Vendor(4711))
}

func TestLookup(t *testing.T) {
	for _, tt := range []struct {
		name string
		want Attr
		ok   bool
	}{
		{"filter-id", Attr{Name: "Filter-Id", Type: 11, Data: String}, true},
		{"Tunnel-Password", Attr{Name: "Tunnel-Password", Type: 69, Data: String, Tagged: true, Hidden: Salted}, true},
		{"MS-MPPE-Recv-Key", Attr{Name: "MS-MPPE-Recv-Key", Type: 26, Vendor: 311, Sub: 17, Inner: true, Hidden: Salted}, true},
		{"Operator-NAS-Identifier", Attr{Name: "Operator-NAS-Identifier", Type: 241, Sub: 8, Inner: true}, true},
		{"Attr-11", Attr{Name: "Filter-Id", Type: 11, Data: String}, true},
		{"Attr-200", Attr{Name: "Attr-200", Type: 200}, true},
		{"Attr-26.9.1", Attr{Name: "Cisco-AVPair", Type: 26, Vendor: 9, Sub: 1, Inner: true, Data: String}, true},
		{"attr-26.4711.3", Attr{Name: "Attr-26.4711.3", Type: 26, Vendor: 4711, Sub: 3, Inner: true}, true},
		{"Attr-241.99", Attr{Name: "Attr-241.99", Type: 241, Sub: 99, Inner: true}, true},
		{"Attr-1.2", Attr{}, false},
		{"Attr-26.1", Attr{}, false},
		{"Attr-26.0.1", Attr{}, false},
		{"Attr-300", Attr{}, false},
		{"Attr-26.9.300", Attr{}, false},
		{"Attr-1.2.3", Attr{}, false},
		{"Attr-", Attr{}, false},
		{"No-Such-Thing", Attr{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := Lookup(tt.name)
			assert.Equal(t, tt.ok, ok)
			assert.Equal(t, tt.want, got)
		})
	}
}

// Every attribute that both name must be the same attribute.
func TestFactsAgainstOracle(t *testing.T) {
	data := map[dictionary.AttributeType]Data{
		dictionary.AttributeString: String, dictionary.AttributeOctets: Octets,
		dictionary.AttributeIPAddr: IPAddr, dictionary.AttributeDate: Date,
		dictionary.AttributeInteger: Integer, dictionary.AttributeIPv6Addr: IPv6Addr,
		dictionary.AttributeIPv6Prefix: IPv6Prefix, dictionary.AttributeIFID: IfID,
		dictionary.AttributeVSA:  VSA,
		dictionary.AttributeByte: Byte,
	}
	compared := 0
	check := func(l *dictionary.Attribute, vendor uint32) {
		a, ok := Lookup(l.Name)
		if !ok {
			return
		}
		compared++
		number := int(a.Type)
		if vendor != 0 {
			number = int(a.Sub)
		}
		assert.Equal(t, l.OID[len(l.OID)-1], number, l.Name)
		assert.Equal(t, vendor, a.Vendor, l.Name)
		assert.Equal(t, data[l.Type], a.Data, l.Name)
		assert.Equal(t, l.FlagHasTag.Valid && l.FlagHasTag.Bool, a.Tagged, l.Name)
		hidden := Clear
		if l.FlagEncrypt.Valid {
			hidden = Hidden(l.FlagEncrypt.Int)
		}
		assert.Equal(t, hidden, a.Hidden, l.Name)
	}
	for _, l := range debug.IncludedDictionary.Attributes {
		check(l, 0)
	}
	for _, v := range debug.IncludedDictionary.Vendors {
		for _, l := range v.Attributes {
			check(l, uint32(v.Number))
		}
	}
	for _, v := range debug.IncludedDictionary.Values {
		for name, n := range facts().values[v.Attribute] {
			if name == strings.ToLower(v.Name) {
				assert.Equal(t, uint32(v.Number), n, "%s %s", v.Attribute, v.Name)
				compared++
			}
		}
	}
	assert.Greater(t, compared, 150, "the oracle compares something")
}

func TestTableErrors(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"unknown word", "attribute 1 A string"},
		{"number", "attr 256 A string"},
		{"data type", "attr 1 A text"},
		{"flag", "attr 1 A string secret"},
		{"twice", "attr 1 A string\nattr 1 B string"},
		{"same name", "attr 1 A string\nattr 2 a string"},
		{"value of nothing", "value A x 1"},
		{"value number", "attr 1 A integer\nvalue A x y"},
		{"vendor", "vendor x Y"},
		{"extended", "extended 999"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := read(tt.text)
			require.Error(t, err)
			assert.Contains(t, err.Error(), "line ")
		})
	}
}
