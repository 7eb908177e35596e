package accounting

import (
	"encoding/binary"
	"strconv"
)

// maxLocations bounds how many locations of one packet are looked at. RFC
// 5580 has two: that of the device and that of the RADIUS client.
const maxLocations = 4

const (
	formCivic = 0 // Code of Location-Information, RFC 5580 section 4.2
	formGeo   = 1

	entityDevice = 0

	informationLen = 20 // index 2, code 1, entity 1, sighting time 8, time to live 8
	geoLen         = 16 // RFC 3825 without code and length
)

// location is the body of one Location-Data, behind its index.
type location struct {
	body   []byte
	device bool // that of the device, not of the RADIUS client
}

// locationInfo says of what form the Location-Data of an index is.
type locationInfo struct {
	index        uint16
	code, entity byte
}

func (d *detail) information(v []byte) {
	if len(v) < informationLen || d.nInfos == maxLocations {
		return
	}
	d.infos[d.nInfos] = locationInfo{index: binary.BigEndian.Uint16(v), code: v[2], entity: v[3]}
	d.nInfos++
}

func (d *detail) data(v []byte) {
	if len(v) <= 2 || d.nDatas == maxLocations {
		return
	}
	d.datas[d.nDatas] = v
	d.nDatas++
}

// locate gives each Location-Data its form. The two attributes come in any
// order. Of two places in one form that of the device counts.
func (d *detail) locate() {
	for _, v := range d.datas[:d.nDatas] {
		for _, info := range d.infos[:d.nInfos] {
			if info.index != binary.BigEndian.Uint16(v) {
				continue
			}
			at := location{body: v[2:], device: info.entity == entityDevice}
			switch {
			case info.code == formCivic && len(at.body) >= 2:
				at.better(&d.civic)
			case info.code == formGeo && len(at.body) == geoLen:
				at.better(&d.geo)
			}
			break
		}
	}
}

func (l location) better(than *location) {
	if than.body == nil || l.device && !than.device {
		*than = l
	}
}

// country returns the country code that a civic location begins with (RFC
// 4776 section 3.1, without the octets that RFC 5580 leaves out), in capitals.
func (l location) country() (c [2]byte, ok bool) {
	if len(l.body) < 2 {
		return c, false
	}
	for i := range c {
		c[i] = l.body[i]
		if c[i] >= 'a' && c[i] <= 'z' {
			c[i] -= 'a' - 'A'
		}
		if c[i] < 'A' || c[i] > 'Z' {
			return c, false
		}
	}
	return c, true
}

// appendCivic appends the elements of a civic location as an object: CAtype
// in decimal to its text. The first of a type counts.
func (l location) appendCivic(dst []byte) []byte {
	if len(l.body) < 2 {
		return dst
	}
	at := len(dst)
	dst = appendField(dst, "civic")
	open := len(dst)
	var seen [4]uint64
	for v := l.body[2:]; len(v) >= 2; {
		t, n := v[0], int(v[1])
		if n > len(v)-2 {
			break
		}
		if bit := uint64(1) << (t & 63); n > 0 && seen[t>>6]&bit == 0 {
			seen[t>>6] |= bit
			var name [3]byte
			dst = appendText(dst, string(strconv.AppendUint(name[:0], uint64(t), 10)), v[2:2+n])
		}
		v = v[2+n:]
	}
	return closeObject(dst, at, open)
}

// appendPoint appends where a geodetic location is, in decimal degrees.
func (l location) appendPoint(dst []byte) []byte {
	if len(l.body) != geoLen {
		return dst
	}
	high := binary.BigEndian.Uint64(l.body)    // 6 bits, 34 bits of latitude, 6 bits, 18 bits
	low := binary.BigEndian.Uint64(l.body[5:]) // 6 bits, 34 bits of longitude
	latRes, lonRes := high>>58, low>>58        // how many bits are known, 34 at most, 0 none
	lat := int64(high<<6) >> 30                // nine bits before the point, 25 behind it
	lon := int64(low<<6) >> 30                 //
	const whole = 1 << 25                      //
	if latRes == 0 || latRes > 34 || lonRes == 0 || lonRes > 34 ||
		lat < -90*whole || lat > 90*whole || lon < -180*whole || lon > 180*whole {
		return dst
	}
	dst = append(appendField(dst, "latitude"), '"')
	dst = append(appendDegrees(dst, lat), '"')
	dst = append(appendField(dst, "longitude"), '"')
	return append(appendDegrees(dst, lon), '"')
}

// appendDegrees appends v, which counts 2^-25 degrees, with seven decimals: a
// centimetre, a little coarser than the wire.
func appendDegrees(dst []byte, v int64) []byte {
	if v < 0 {
		dst, v = append(dst, '-'), -v
	}
	const scale = 10_000_000
	v = (v*scale + 1<<24) >> 25
	dst = strconv.AppendInt(dst, v/scale, 10)
	var buf [8]byte
	frac := strconv.AppendInt(buf[:0], scale+v%scale, 10) // the leading 1 keeps the zeros
	frac[0] = '.'
	return append(dst, frac...)
}
