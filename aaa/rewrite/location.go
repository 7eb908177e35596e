package rewrite

import (
	"bytes"
	"encoding/binary"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// Attributes of RFC 5580 that only a location has to do with.
const (
	basicLocationPolicyRules    radius.Type = 129
	extendedLocationPolicyRules radius.Type = 130
	locationCapable             radius.Type = 131
)

// Vendors' attributes that tell where somebody is.
const (
	wisprLocationID   = 1
	wisprLocationName = 2
	tgppUserLocation  = 22
	tgppLocationTime  = 30 // of tgppUserLocation
)

var (
	stripped = typesOf(radius.LocationInformation, radius.LocationData, basicLocationPolicyRules, extendedLocationPolicyRules, locationCapable)
	// places is what has no coarser form.
	places = step{inner: []realm.Attribute{
		{Place: realm.PlaceVendorSub, Type: radius.VendorSpecific, Vendor: radius.VendorWISPr, Sub: wisprLocationName},
		{Place: realm.PlaceVendorSub, Type: radius.VendorSpecific, Vendor: radius.Vendor3GPP, Sub: tgppUserLocation},
		{Place: realm.PlaceVendorSub, Type: radius.VendorSpecific, Vendor: radius.Vendor3GPP, Sub: tgppLocationTime},
	}}
	place = step{inner: []realm.Attribute{
		{Place: realm.PlaceVendorSub, Type: radius.VendorSpecific, Vendor: radius.VendorWISPr, Sub: wisprLocationID},
	}}
	allPlaces = step{types: stripped, inner: append(append([]realm.Attribute(nil), place.inner...), places.inner...)}
)

func typesOf(types ...radius.Type) (d radius.Drop) {
	for _, t := range types {
		d.Set(t)
	}
	return d
}

// blur makes the location in a packet no more exact than l. What cannot be
// judged goes: a location that reads as nothing we know may be exact.
func (d *Draft) blur(l realm.Location) (changed int, ok bool) {
	switch l {
	case realm.LocationCarry:
		return 0, true
	case realm.LocationStrip:
		return allPlaces.cut(d, false), true
	}
	return places.cut(d, false) + d.blurID() + d.blurData(l), true
}

// Forms of a location, in Location-Information (RFC 5580 section 4.2).
const (
	civic = 0
	geo   = 1
)

// blurData goes through Location-Data. Its first two octets are the index of
// the Location-Information that says what form it has.
func (d *Draft) blurData(l realm.Location) (changed int) {
	for off := d.Find(radius.LocationData, radius.HeaderLen); off != 0; {
		raw := d.b[off : off+int(d.b[off+1])]
		next, stays := off+len(raw), 0
		switch form, known := d.formOf(raw, off); {
		case !known:
		case form == civic:
			stays = blurCivic(raw, l)
		case form == geo && l == realm.LocationCoarse:
			stays = blurGeo(raw, &changed)
		}
		if stays < len(raw) {
			changed++
			raw[1] = byte(stays)
			d.splice(off+stays, len(raw)-stays, nil)
			next = off + stays
		}
		off = d.Find(radius.LocationData, next)
	}
	for off := d.Find(radius.LocationInformation, radius.HeaderLen); off != 0; {
		raw := d.b[off : off+int(d.b[off+1])]
		next := off + len(raw)
		if len(raw) < 4 || d.dataOf(raw[2:4], d.n) == 0 {
			changed++
			d.splice(off, len(raw), nil)
			next = off
		}
		off = d.Find(radius.LocationInformation, next)
	}
	return changed
}

// formOf says what form the Location-Data at off has. It is not known where
// another one in front has its index: what continues a location cannot be read
// by itself.
func (d *Draft) formOf(raw []byte, off int) (form byte, known bool) {
	if len(raw) < 4 || d.dataOf(raw[2:4], off) != 0 {
		return 0, false
	}
	for at := d.Find(radius.LocationInformation, radius.HeaderLen); at != 0; at = d.Find(radius.LocationInformation, at+int(d.b[at+1])) {
		if info := d.b[at : at+int(d.b[at+1])]; len(info) >= 5 && bytes.Equal(info[2:4], raw[2:4]) {
			return info[4], true
		}
	}
	return 0, false
}

// dataOf finds Location-Data with an index in front of an offset, 0 for none.
func (d *Draft) dataOf(index []byte, end int) int {
	for at := d.Find(radius.LocationData, radius.HeaderLen); at != 0 && at < end; at = d.Find(radius.LocationData, at+int(d.b[at+1])) {
		if d.b[at+1] >= 4 && bytes.Equal(d.b[at+2:at+4], index) {
			return at
		}
	}
	return 0
}

// blurCivic leaves the country and, if coarse, the national subdivision (RFC
// 4776 section 3.1, CAtype 1). It returns how many octets stay.
func blurCivic(raw []byte, l realm.Location) (stays int) {
	const head, country, subdivision = 4, 2, 1
	if len(raw) < head+country || !isUpper(raw[head]) || !isUpper(raw[head+1]) {
		return 0
	}
	stays = head + country
	if l != realm.LocationCoarse {
		return stays
	}
	for rest := raw[stays:]; len(rest) >= 2 && len(rest) >= 2+int(rest[1]); {
		element := rest[:2+int(rest[1])]
		rest = rest[len(element):]
		if element[0] == subdivision {
			stays += copy(raw[stays:], element)
			break
		}
	}
	return stays
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

// A geodetic location (RFC 3825 section 2): two resolutions of 6 bits, each in
// front of a fixed-point number of degrees of 34 bits with 25 behind the point,
// then 48 bits of altitude and datum.
const (
	geoLen     = 4 + 16
	geoBits    = 34
	coarseBits = 12 // of latitude: an eighth of a degree, 14 km
)

// blurGeo leaves so many bits that some ten kilometres remain, and no altitude.
// It returns how many octets stay.
func blurGeo(raw []byte, changed *int) (stays int) {
	if len(raw) != geoLen {
		return 0
	}
	b := raw[4:]
	latitude, longitude := get40(b), get40(b[5:])
	if latitude>>geoBits > geoBits || longitude>>geoBits > geoBits {
		return 0
	}
	bits := uint64(coarseBits)
	if north := int64(latitude<<30) >> 30; north >= 45<<25 || north <= -45<<25 {
		bits-- // a degree of longitude is shorter there
	}
	var to [16]byte
	put40(to[:], coarser(latitude, coarseBits))
	put40(to[5:], coarser(longitude, bits))
	to[15] = b[15] // the datum; no altitude is known
	if !bytes.Equal(to[:], b) {
		*changed++
		copy(b, to[:])
	}
	return len(raw)
}

func get40(b []byte) uint64 {
	return uint64(b[0])<<32 | uint64(binary.BigEndian.Uint32(b[1:]))
}

func put40(b []byte, v uint64) {
	b[0] = byte(v >> 32)
	binary.BigEndian.PutUint32(b[1:], uint32(v))
}

// coarser bounds a resolution and clears the bits of the number behind it.
func coarser(v, bits uint64) uint64 {
	bits = min(v>>geoBits, bits)
	return bits<<geoBits | v&(1<<geoBits-1)&^(1<<(geoBits-bits)-1)
}

// blurID leaves the countries of a WISPr-Location-ID, such as
// "isocc=us,cc=1,ac=408,network=ACME_Airport".
func (d *Draft) blurID() (changed int) {
	for off := d.Find(radius.VendorSpecific, radius.HeaderLen); off != 0; {
		size := int(d.b[off+1])
		next := off + size
		stays := size
		if raw := d.b[off:next]; hasSub(raw, &place.inner[0]) {
			stays = blurIDs(raw)
		} else {
			stays = place.insideVendor(raw, false, new(int)) // all of one that cannot be shortened
		}
		if stays < size {
			changed++
			d.splice(off+stays, size-stays, nil)
			next = off + stays
		}
		off = d.Find(radius.VendorSpecific, next)
	}
	return changed
}

// blurIDs shortens one attribute of the vendor in place and returns how many
// octets of it stay.
func blurIDs(raw []byte) int {
	const head = 2 + 4
	n := head
	for at := head; at < len(raw); {
		sub := raw[at : at+int(raw[at+1])]
		at += len(sub)
		if sub[0] != wisprLocationID {
			n += copy(raw[n:], sub)
			continue
		}
		value, size := sub[2:], 0
		for len(value) > 0 {
			field := value
			if comma := bytes.IndexByte(value, ','); comma >= 0 {
				field, value = value[:comma], value[comma+1:]
			} else {
				value = nil
			}
			if !isCountry(field) {
				continue
			}
			if size > 0 {
				raw[n+2+size] = ','
				size++
			}
			size += copy(raw[n+2+size:], field)
		}
		if size > 0 {
			raw[n], raw[n+1] = wisprLocationID, byte(2+size)
			n += 2 + size
		}
	}
	if n == head {
		return 0
	}
	raw[1] = byte(n)
	return n
}

// isCountry knows isocc=de and cc=49.
func isCountry(field []byte) bool {
	key, value, ok := bytes.Cut(field, []byte{'='})
	return ok && len(value) <= 3 && (bytes.EqualFold(key, []byte("isocc")) || bytes.EqualFold(key, []byte("cc")))
}
