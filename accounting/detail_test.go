package accounting

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/wba"
)

// detailOf is what AppendJSON says of the attributes in the fields that only
// the second walk reads.
func detailOf(t *testing.T, attrs ...[]byte) map[string]any {
	var d detail
	d.read(packet(attrs...))
	out := string(d.appendJSON(nil, wba.Rate{}))
	if out == "" {
		return nil
	}
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte("{"+strings.TrimPrefix(out, ",")+"}"), &m), out)
	return m
}

type object = map[string]any

func TestDetail(t *testing.T) {
	tgpp := func(t byte, v string) []byte { return vendor(vendor3GPP, t, v) }
	wba := func(t byte, v string) []byte { return vendor(vendorWBA, t, v) }
	service := func(name string, v any) object { return object{"service": object{name: v}} }
	place := func(name string, v any) object { return object{"location": object{name: v}} }
	for _, tt := range []struct {
		name  string
		attrs [][]byte
		want  object
	}{
		{"nothing", nil, nil},
		{"Operator-Name", [][]byte{attr(126, "4WBA:CH")}, object{"operator_name": "4WBA:CH"}},
		{"the first of two", [][]byte{attr(126, "4WBA:CH"), attr(126, "4OTHER:CH")}, object{"operator_name": "4WBA:CH"}},
		{"Filter-Id", [][]byte{attr(11, "gold")}, service("granted", "gold")},
		{"offered service", [][]byte{wba(12, "OpenRoaming Gold")}, service("offered", "OpenRoaming Gold")},
		{"financial clearing", [][]byte{wba(13, "4A:CH")}, service("financial_clearing", "4A:CH")},
		{"data clearing", [][]byte{wba(14, "4B:CH")}, service("data_clearing", "4B:CH")},
		{"rate", [][]byte{wba(15, "CHF\x07\xff\xff\xff\xff")}, service("rate", object{"currency": "CHF", "index": 7., "nanos": 4294967295.})},
		{"rate of seven octets", [][]byte{wba(15, "CHF\x07\x00\x00\x01")}, nil},
		{"rate in no currency", [][]byte{wba(15, "C\"F\x07\x00\x00\x00\x01")}, nil},
		{"two sub-attributes in one", [][]byte{append([]byte{26, 6 + 4 + 4, 0, 0, 0x37, 0x2a}, 12, 4, 'a', 'b', 13, 4, 'c', 'd')}, object{"service": object{"offered": "ab", "financial_clearing": "cd"}}},
		{"sub-attribute that passes the end", [][]byte{append([]byte{26, 6 + 4, 0, 0, 0x37, 0x2a}, 12, 5, 'a', 'b')}, nil},
		{"sub-attribute of length one", [][]byte{append([]byte{26, 6 + 4, 0, 0, 0x37, 0x2a}, 12, 1, 'a', 'b')}, nil},
		{"vendor of three octets", [][]byte{{26, 5, 0, 0, 0x37}}, nil},
		{"another vendor", [][]byte{vendor(9, 12, "x")}, nil},
		{"charging id", [][]byte{tgpp(2, "\x00\x00\x01\x02")}, service("charging_id", 258.)},
		{"charging id of three octets", [][]byte{tgpp(2, "\x00\x01\x02")}, nil},
		{"home network", [][]byte{tgpp(8, "23415")}, object{"home_plmn": "23415"}},
		{"serving network", [][]byte{tgpp(18, "310012")}, place("plmn", "310012")},
		{"serving network with a letter", [][]byte{tgpp(18, "31O012")}, nil},
		{"serving network of four digits", [][]byte{tgpp(18, "3100")}, nil},
		{"cell", [][]byte{tgpp(22, "\x01\xf2")}, place("cell", "01f2")},
		{"east", [][]byte{tgpp(23, "\x80\x01")}, object{"utc_offset": 2 * 3600.}},
		{"Nepal", [][]byte{tgpp(23, "\x32\x00")}, object{"utc_offset": 23 * 900.}},
		{"west", [][]byte{tgpp(23, "\x4a\x00")}, object{"utc_offset": -24 * 900.}},
		{"UTC", [][]byte{tgpp(23, "\x00\x00")}, nil},
		{"further than the earth is round", [][]byte{tgpp(23, "\x75\x00")}, nil},
		{"a digit that is none", [][]byte{tgpp(23, "\xa1\x00")}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, detailOf(t, tt.attrs...)) })
	}
}

func information(index uint16, code, entity byte) []byte {
	v := binary.BigEndian.AppendUint16(nil, index)
	return attr(127, string(append(v, code, entity))+strings.Repeat("\x00", 16)+"GPS")
}

func data(index uint16, body string) []byte {
	return attr(128, string(binary.BigEndian.AppendUint16(nil, index))+body)
}

// lci is a geodetic location: how many bits are known, and the angles in
// 2^-25 degrees.
func lci(res, lat, lon int64) string {
	const mask = 1<<34 - 1
	b := binary.BigEndian.AppendUint64(nil, uint64(res)<<58|uint64(lat)&mask<<24|uint64(res)<<18|uint64(lon)&mask>>16)
	b = binary.BigEndian.AppendUint16(b, uint16(lon))
	return string(append(b, make([]byte, 6)...))
}

func TestLocation(t *testing.T) {
	const degree = 1 << 25
	bern := object{"country": "CH", "civic": object{"3": "Bern"}}
	for _, tt := range []struct {
		name  string
		attrs [][]byte
		want  object
	}{
		{"civic", [][]byte{information(5, 0, 0), data(5, "CH\x03\x04Bern")}, bern},
		{"the data first", [][]byte{data(5, "ch\x03\x04Bern"), information(5, 0, 0)}, bern},
		{"country alone", [][]byte{information(5, 0, 0), data(5, "CH")}, object{"country": "CH"}},
		{"a country that is none", [][]byte{information(5, 0, 0), data(5, "C1\x03\x04Bern")}, object{"civic": object{"3": "Bern"}}},
		{"half a country", [][]byte{information(5, 0, 0), data(5, "C")}, nil},
		{"no information", [][]byte{data(5, "CH")}, nil},
		{"information of another index", [][]byte{information(6, 0, 0), data(5, "CH")}, nil},
		{"information too short", [][]byte{attr(127, "\x00\x05\x00\x00"), data(5, "CH")}, nil},
		{"another form", [][]byte{information(5, 2, 0), data(5, "CH")}, nil},
		{"no data", [][]byte{information(5, 0, 0), attr(128, "\x00\x05")}, nil},
		{"the device before the NAS", [][]byte{information(1, 0, 1), data(1, "DE"), information(2, 0, 0), data(2, "CH")}, object{"country": "CH"}},
		{"the NAS behind the device", [][]byte{information(2, 0, 0), data(2, "CH"), information(1, 0, 1), data(1, "DE")}, object{"country": "CH"}},
		{"more than are looked at", [][]byte{information(9, 0, 1), data(9, "DE"), information(9, 0, 1), information(9, 0, 1), information(9, 0, 1), information(1, 0, 0), data(1, "CH")}, object{"country": "DE"}},
		{"an element that passes the end", [][]byte{information(5, 0, 0), data(5, "CH\x03\x04Bern\x06\x05Bahn")}, bern},
		{"an element twice", [][]byte{information(5, 0, 0), data(5, "CH\x03\x04Bern\x03\x04Biel")}, bern},
		{"an empty element", [][]byte{information(5, 0, 0), data(5, "CH\x06\x00\x03\x04Bern\x07")}, bern},
		{"an element that is no text", [][]byte{information(5, 0, 0), data(5, "CH\xff\x03\"\x00\xff")}, object{"country": "CH", "civic": object{"255": "\"\x00\ufffd"}}},
		{"point", [][]byte{information(5, 1, 0), data(5, lci(34, 46*degree+degree/2, 7*degree))}, object{"latitude": "46.5000000", "longitude": "7.0000000"}},
		{"south and west", [][]byte{information(5, 1, 0), data(5, lci(34, -33*degree-1, -degree/8))}, object{"latitude": "-33.0000000", "longitude": "-0.1250000"}},
		{"as far as it goes", [][]byte{information(5, 1, 0), data(5, lci(1, -90*degree, 180*degree))}, object{"latitude": "-90.0000000", "longitude": "180.0000000"}},
		{"behind the pole", [][]byte{information(5, 1, 0), data(5, lci(34, 90*degree+1, 0))}, nil},
		{"further than around", [][]byte{information(5, 1, 0), data(5, lci(34, 0, -180*degree-1))}, nil},
		{"no bit is known", [][]byte{information(5, 1, 0), data(5, lci(0, degree, degree))}, nil},
		{"more bits than there are", [][]byte{information(5, 1, 0), data(5, lci(35, degree, degree))}, nil},
		{"point too short", [][]byte{information(5, 1, 0), data(5, lci(34, 0, 0)[:15])}, nil},
		{"both forms", [][]byte{information(5, 0, 0), data(5, "CH"), information(6, 1, 1), data(6, lci(34, degree, degree))}, object{"country": "CH", "latitude": "1.0000000", "longitude": "1.0000000"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want object
			if tt.want != nil {
				want = object{"location": tt.want}
			}
			assert.Equal(t, want, detailOf(t, tt.attrs...))
		})
	}
}

func TestStableContent(t *testing.T) {
	h, again, other := NewHasher([]byte("key")), NewHasher([]byte("key")), NewHasher([]byte("other"))
	raw := packet(stop()...)
	c := h.StableContent(raw)
	assert.Equal(t, c, again.StableContent(raw), "a restart, or another hub")
	assert.NotEqual(t, c, other.StableContent(raw))
	assert.Equal(t, c, h.StableContent(with(stop(), attr32(attrAcctDelayTime, 9), attr(attrProxyState, "x"))), "only sent again")
	assert.NotEqual(t, c, h.StableContent(with(stop(), attr32(attrAcctOutputPackets, 9))), "says more")
	secret := with(stop(), attr(attrUserPassword, "0123456789abcdef"))
	_, b := fullRecord(secret)
	r, err := Decode(b)
	require.NoError(t, err)
	assert.Equal(t, h.StableContent(secret), h.StableContent(r.Raw), "a packet and its record")
}

func TestClassesAreBounded(t *testing.T) {
	attrs := [][]byte{attr32(attrAcctStatusType, 2), attr(attrAcctSessionID, "s")}
	for range 1000 {
		attrs = append(attrs, attr(attrClass, ""))
	}
	_, b := fullRecord(packet(attrs...))
	r, err := Decode(b)
	require.NoError(t, err)
	var m struct {
		Class []string `json:"class"`
	}
	require.NoError(t, json.Unmarshal(r.AppendJSON(nil, &View{Hasher: NewHasher(nil)}), &m))
	assert.Len(t, m.Class, MaxClasses)
}

// The drain allocates nothing for a record but the names that Decode copies.
func TestAllocsAppendJSON(t *testing.T) {
	_, b := fullRecord(with(stop(), information(5, 0, 0), data(5, "CH\x03\x04Bern"), information(6, 1, 0), data(6, lci(34, 1, 1)), vendor(vendorWBA, 15, "CHF\x00\x00\x00\x00\x01")))
	r, err := Decode(b)
	require.NoError(t, err)
	view := &View{Hasher: NewHasher([]byte("key")), Plain: true, Raw: true}
	dst := make([]byte, 0, 16<<10)
	assert.Zero(t, testing.AllocsPerRun(100, func() { dst = r.AppendJSON(dst[:0], view) }))
}
