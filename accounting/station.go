package accounting

// Device appends the canonical identity of the device in e: "imsi:" and the
// digits of 3GPP-IMSI, else "mac:" and twelve lower-case hex digits when
// Calling-Station-Id is a MAC address in any of its spellings (RFC 3580
// section 3.21), else "station:" and the value as it is.
func Device(dst []byte, e *Event) []byte {
	if len(e.IMSI) > 0 {
		return append(append(dst, "imsi:"...), e.IMSI...)
	}
	if len(e.CallingStation) == 0 {
		return dst
	}
	if mac, rest, ok := macDigits(e.CallingStation); ok && len(rest) == 0 {
		return append(append(dst, "mac:"...), mac[:]...)
	}
	return append(append(dst, "station:"...), e.CallingStation...)
}

// CalledStation appends a Called-Station-Id as RFC 3580 section 3.20 wants
// it, AA-BB-CC-DD-EE-FF:ssid, when it begins with a MAC address, else as is.
func CalledStation(dst, v []byte) []byte {
	mac, rest, ok := macDigits(v)
	if !ok || (len(rest) > 0 && rest[0] != ':') {
		return append(dst, v...)
	}
	for i, c := range mac {
		if i > 0 && i%2 == 0 {
			dst = append(dst, '-')
		}
		if c >= 'a' {
			c -= 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return append(dst, rest...)
}

// macDigits reads twelve hex digits with any of the usual separators.
func macDigits(v []byte) (mac [12]byte, rest []byte, ok bool) {
	n := 0
	for i, c := range v {
		if n == len(mac) {
			return mac, v[i:], true
		}
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f':
			mac[n] = c
			n++
		case c >= 'A' && c <= 'F':
			mac[n] = c + 'a' - 'A'
			n++
		case (c == '-' || c == ':' || c == '.') && n > 0 && n%2 == 0 && isHex(v[i-1]):
		default:
			return mac, nil, false
		}
	}
	return mac, nil, n == len(mac)
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}
