package accounting

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"
)

func appendTime(dst []byte, name string, t time.Time, layout string) []byte {
	dst = appendField(dst, name)
	dst = append(dst, '"')
	// Years of five digits are no RFC 3339: a hostile clock shows as the limit.
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		t = time.Unix(0, 0)
	}
	dst = t.UTC().AppendFormat(dst, layout)
	return append(dst, '"')
}

func appendAddr(dst []byte, name string, v []byte) []byte {
	ip, ok := netip.AddrFromSlice(v)
	if !ok {
		return dst
	}
	dst = append(appendField(dst, name), '"')
	return append(ip.AppendTo(dst), '"')
}

func appendHex(dst []byte, name string, v []byte) []byte {
	dst = append(appendField(dst, name), '"')
	return append(hex.AppendEncode(dst, v), '"')
}

func appendUint(dst []byte, name string, v uint64) []byte {
	return strconv.AppendUint(appendField(dst, name), v, 10)
}

func appendField(dst []byte, name string) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

const hexDigits = "0123456789abcdef"

// appendText appends a string field, or nothing when it is empty. Octets
// that are not UTF-8 become U+FFFD: the packet itself is in raw.
func appendText[T string | []byte](dst []byte, name string, v T) []byte {
	if len(v) == 0 {
		return dst
	}
	dst = append(appendField(dst, name), '"')
	from := 0 // what is behind it and in front of i goes out as it is
	for i := 0; i < len(v); {
		c := v[i]
		switch {
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRune([]byte(v[i:min(i+utf8.UTFMax, len(v))]))
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, v[from:i]...)
				dst = utf8.AppendRune(dst, r)
				from = i + n
			}
			i += n
			continue
		case c == '"' || c == '\\':
			dst = append(dst, v[from:i]...)
			dst = append(dst, '\\', c)
			from = i + 1
		case c < 0x20 || c == 0x7f:
			dst = append(dst, v[from:i]...)
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			from = i + 1
		}
		i++
	}
	dst = append(dst, v[from:]...)
	return append(dst, '"')
}
