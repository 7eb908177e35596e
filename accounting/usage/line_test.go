package usage

import (
	"encoding/binary"
	"net/netip"

	"github.com/roamgate/roamgate/accounting"
)

const arrival = 1_763_755_030 * int64(1e9)

func attr(t byte, v string) []byte { return append([]byte{t, byte(2 + len(v))}, v...) }

func attr32(t byte, v uint32) []byte { return binary.BigEndian.AppendUint32([]byte{t, 6}, v) }

func vendor(id uint32, t byte, v string) []byte {
	sub := attr(t, v)
	return append(binary.BigEndian.AppendUint32([]byte{26, byte(6 + len(sub))}, id), sub...)
}

func packet(attrs ...[]byte) []byte {
	b := make([]byte, 20)
	b[0], b[1] = 4, 17
	for _, a := range attrs {
		b = append(b, a...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// stop is the end of a session that says all there is to say.
func stop() []byte {
	return packet(
		attr32(40, 2), attr(1, "6234150999999999@wlan.mnc015.mcc234.3gppnetwork.org"),
		attr(4, "\x0a\x00\x00\x01"), attr(32, "ap-17.visited.example"),
		attr(30, "aa:bb:cc:dd:ee:ff:Roam"), attr(31, "02-00-5E-10-00-01"),
		attr(44, "5f3759df-0001"), attr(50, "multi-9"),
		attr(25, "class-one"), attr(25, "class-two"), attr(89, "cui-1"),
		attr32(55, 1_763_755_000), attr32(46, 600), attr32(41, 3),
		attr32(42, 7), attr32(52, 1), attr32(43, 9), attr32(53, 2), attr32(47, 11), attr32(48, 13),
		attr32(49, 1), attr32(61, 19),
		attr(126, "4WBA:CH"), attr(11, "OpenRoaming Gold"),
		attr(127, "\x00\x05\x00\x01"+"\x00\x00\x00\x00\x00\x00\x00\x00"+"\x00\x00\x00\x00\x00\x00\x00\x00"+"Manual"),
		attr(128, "\x00\x05"+"ch"+"\x03\x04Bern"+"\x06\x09Bahnhof\u00e9"),
		attr(127, "\x00\x06\x01\x01"+"\x00\x00\x00\x00\x00\x00\x00\x00"+"\x00\x00\x00\x00\x00\x00\x00\x00"+"GPS"),
		attr(128, "\x00\x06"+point(46.948, -7.4474)),
		vendor(10415, 1, "234150999999999"), vendor(10415, 21, "\x03"), vendor(10415, 2, "\x00\x00\x12\x34"),
		vendor(10415, 8, "23415"), vendor(10415, 18, "22801"), vendor(10415, 22, "\x01\x22\xf8"), vendor(10415, 23, "\x4a\x00"),
		vendor(14122, 12, "OpenRoaming Gold"), vendor(14122, 13, "4CLEAR.WBA"), vendor(14122, 14, "4DATA.WBA"),
		vendor(14122, 15, "CHF\x02\x00\x00\x01\x00"),
	)
}

// point is a geodetic location of RFC 3825 with all bits known.
func point(lat, lon float64) string {
	const known = 34
	fixed := func(v float64) uint64 { return uint64(int64(v*(1<<25))) & (1<<34 - 1) }
	a, o := fixed(lat), fixed(lon)
	hi := known<<58 | a<<24 | known<<18 | o>>16
	b := binary.BigEndian.AppendUint64(nil, hi)
	b = binary.BigEndian.AppendUint16(b, uint16(o))
	return string(append(b, 0, 0, 0, 0, 0, 1))
}

// line is what a hub says of raw.
func line(raw []byte, view accounting.View, change ...func(*accounting.Header)) []byte {
	var e accounting.Event
	accounting.Classify(&e, raw, arrival)
	h := accounting.Header{
		Time: arrival, From: netip.MustParseAddrPort("192.0.2.1:1813"),
		Client: "hotspots", Operator: "4WBA:CH", Country: "CH", Realm: "a.example", Route: "*.example",
		PolicyVersion: 7, PolicyStale: true,
	}
	h.SetEvent(&e)
	view.Hasher = accounting.NewHasher([]byte("key"))
	h.Key = view.Hasher.Key(&e, h.Operator)
	for _, f := range change {
		f(&h)
	}
	r, err := accounting.Decode(accounting.AppendRecord(nil, &h, raw))
	if err != nil {
		panic(err)
	}
	r.Seq = 7
	return r.AppendJSON(nil, &view)
}
