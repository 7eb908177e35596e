package freeradius

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// boolean reads a switch as the original does.
func boolean(s *Section, key string, otherwise bool) (bool, error) {
	v, ok := s.Text(key)
	if !ok {
		return otherwise, nil
	}
	switch strings.ToLower(v) {
	case "yes", "true", "on":
		return true, nil
	case "no", "false", "off":
		return false, nil
	}
	return false, fail(s.Pair(key).Pos, "invalid value %q for boolean variable %s", v, key)
}

// integer reads a number as strtoul does: what is no number is 0.
func integer(s *Section, key string, otherwise int) (int, error) {
	v, ok := s.Text(key)
	if !ok {
		return otherwise, nil
	}
	n, good := number(v)
	if !good {
		return 0, fail(s.Pair(key).Pos, "invalid value %q for variable %s, must be between 0-2147483647", v, key)
	}
	return n, nil
}

func number(v string) (n int, ok bool) {
	v = strings.TrimLeft(v, " \t")
	base, digits := 10, "0123456789"
	switch {
	case strings.HasPrefix(v, "0x") || strings.HasPrefix(v, "0X"):
		base, digits, v = 16, "0123456789abcdefABCDEF", v[2:]
	case len(v) > 1 && v[0] == '0':
		base, digits = 8, "01234567"
	}
	v = strings.TrimPrefix(v, "+")
	end := 0
	for end < len(v) && strings.IndexByte(digits, v[end]) >= 0 {
		end++
	}
	if end == 0 {
		return 0, !strings.HasPrefix(v, "-") // "-1" is the largest number there
	}
	u, err := strconv.ParseUint(v[:end], base, 31)
	return int(u), err == nil
}

// seconds reads 1 or 0.5.
func seconds(s *Section, key string, otherwise time.Duration) (time.Duration, error) {
	v, ok := s.Text(key)
	if !ok {
		return otherwise, nil
	}
	whole, part, _ := strings.Cut(v, ".")
	if len(part) > 6 {
		return 0, fail(s.Pair(key).Pos, "too much precision for timeval")
	}
	n, _ := number(strings.TrimLeft(whole, "0"))
	d := time.Duration(min(n, 1<<20)) * time.Second
	micro, _ := strconv.Atoi((part + "000000")[:6])
	return d + time.Duration(micro)*time.Microsecond, nil
}

func clamp(n, least, most int) int { return max(least, min(n, most)) }

// address reads an address, a prefix, or leaves a name.
func address(v string) (p netip.Prefix, host string, ok bool) {
	v = strings.TrimSpace(v)
	if v == "*" {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0), "", true
	}
	text, bits, masked := strings.Cut(v, "/")
	text = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	a, err := netip.ParseAddr(text)
	if err != nil && masked && strings.Trim(text, "0123456789.") == "" {
		// 10/8 stands for 10.0.0.0/8.
		a, err = netip.ParseAddr(text + strings.Repeat(".0", max(0, 3-strings.Count(text, "."))))
	}
	switch {
	case err != nil && masked:
		return p, "", false
	case err != nil:
		return p, text, text != "" && !strings.ContainsAny(text, " :")
	case a.Zone() != "":
		return p, "", false
	case !masked:
		return netip.PrefixFrom(a, a.BitLen()), "", true
	}
	n, err := strconv.Atoi(bits)
	if err != nil || n < 0 || n > a.BitLen() {
		return p, "", false
	}
	return netip.PrefixFrom(a, n).Masked(), "", true
}

// addressOf gives the first of the three keys for addresses.
func addressOf(s *Section) (p netip.Prefix, host string, pair *Pair, err error) {
	for _, key := range []string{"ipaddr", "ipv4addr", "ipv6addr"} {
		pair := s.Pair(key)
		if pair == nil || pair.Bare {
			continue
		}
		v := pair.Value
		if key == "ipv6addr" && v == "*" {
			v = "::/0"
		}
		p, host, ok := address(v)
		four := p.IsValid() && p.Addr().Is4()
		if !ok || p.IsValid() && (key == "ipv4addr" && !four || key == "ipv6addr" && four) {
			return p, "", pair, fail(pair.Pos, "failed parsing configuration item %q: %q is no address", key, v)
		}
		return p, host, pair, nil
	}
	return p, "", nil, nil
}

func joinHostPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}
