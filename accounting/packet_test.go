package accounting

import "encoding/binary"

// packet builds an Accounting-Request of the given attributes.
func packet(attrs ...[]byte) []byte {
	b := make([]byte, headerLen)
	b[0], b[1] = 4, 17
	for _, a := range attrs {
		b = append(b, a...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

func attr(t byte, v string) []byte { return append([]byte{t, byte(2 + len(v))}, v...) }

func attr32(t byte, v uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{t, 6}, v)
}

func vendor(id uint32, t byte, v string) []byte {
	sub := attr(t, v)
	b := binary.BigEndian.AppendUint32([]byte{attrVendorSpecific, byte(6 + len(sub))}, id)
	return append(b, sub...)
}

// with returns attrs followed by more, in a slice of its own.
func with(attrs [][]byte, more ...[]byte) []byte {
	return packet(append(append([][]byte{}, attrs...), more...)...)
}

// stop is a full stop of an EAP-AKA' session at a Wi-Fi hotspot.
func stop() [][]byte {
	return [][]byte{
		attr32(attrAcctStatusType, 2),
		attr(attrUserName, "6234150999999999@wlan.mnc015.mcc234.3gppnetwork.org"),
		attr(attrNASIPAddress, "\x0a\x00\x00\x01"),
		attr(attrNASIdentifier, "ap-17.visited.example"),
		attr(attrCalledStationID, "aa:bb:cc:dd:ee:ff:Roam"),
		attr(attrCallingStationID, "02-00-5E-10-00-01"),
		attr(attrAcctSessionID, "5f3759df-0001"),
		attr(attrAcctMultiSessionID, "multi-9"),
		attr(attrClass, "class-one"), attr(attrClass, "class-two"),
		attr32(attrEventTimestamp, 1_763_755_000),
		attr32(attrAcctSessionTime, 600),
		attr32(attrAcctInputOctets, 7), attr32(attrAcctInputGigawords, 1),
		attr32(attrAcctOutputOctets, 9), attr32(attrAcctOutputGigawords, 2),
		attr32(attrAcctInputPackets, 11), attr32(attrAcctOutputPackets, 13),
		attr32(attrAcctTerminateCause, 1), attr32(attrNASPortType, 19),
		vendor(vendor3GPP, threeGPPIMSI, "234150999999999"),
		vendor(vendor3GPP, threeGPPRATType, "\x03"),
		attr(attrCUI, "cui-1"),
	}
}
