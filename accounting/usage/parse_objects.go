package usage

import (
	"strconv"
)

// fields reads an object whose fields field takes by name. It says which bit
// stands for a field, so that none comes twice, or -1 for one that is not
// known and was left in place.
func (s *scanner) fields(field func(name []byte) int) {
	var got seen
	for s.open('{'); s.more('}'); {
		i := field(s.name())
		switch {
		case i < 0:
			s.skip()
		case got&(1<<i) != 0:
			s.fail(errTwice)
		default:
			got |= 1 << i
		}
	}
}

func (s *scanner) location(l *Location) {
	s.fields(func(name []byte) int {
		switch string(name) {
		case "country":
			l.Country = s.letters(2)
			return 0
		case "civic":
			l.Civic = s.civic()
			return 1
		case "latitude":
			l.Latitude = s.degrees(90)
			return 2
		case "longitude":
			l.Longitude = s.degrees(180)
			return 3
		case "plmn":
			l.PLMN = s.text()
			return 4
		case "cell":
			l.Cell = s.hexText()
			return 5
		}
		return -1
	})
}

func (s *scanner) service(v *Service) {
	s.fields(func(name []byte) int {
		switch string(name) {
		case "offered":
			v.Offered = s.text()
			return 0
		case "granted":
			v.Granted = s.text()
			return 1
		case "financial_clearing":
			v.FinancialClearing = s.text()
			return 2
		case "data_clearing":
			v.DataClearing = s.text()
			return 3
		case "rate":
			v.Rate = s.rate()
			return 4
		case "charging_id":
			v.ChargingID = uint32(s.uint(32))
			return 5
		case "context":
			v.Context = s.text()
			return 6
		}
		return -1
	})
}

func (s *scanner) rate() *Rate {
	r := new(Rate)
	s.fields(func(name []byte) int {
		switch string(name) {
		case "currency":
			r.Currency = s.letters(3)
			return 0
		case "index":
			r.Index = uint8(s.uint(8))
			return 1
		case "nanos":
			r.Nanos = uint32(s.uint(32))
			return 2
		}
		return -1
	})
	if r.Currency == "" {
		s.fail(errWord)
	}
	return r
}

// civic reads CAtypes, which are numbers of one octet, and their texts.
func (s *scanner) civic() map[string]string {
	m := make(map[string]string)
	for s.open('{'); s.more('}'); {
		name := string(s.name())
		n, err := strconv.ParseUint(name, 10, 8)
		if err != nil || strconv.FormatUint(n, 10) != name {
			s.fail(errNumber)
			return nil
		}
		if _, twice := m[name]; twice {
			s.fail(errTwice)
			return nil
		}
		m[name] = s.text()
	}
	return m
}

// letters reads a code of n capitals.
func (s *scanner) letters(n int) string {
	t := s.text()
	ok := len(t) == n
	for _, c := range []byte(t) {
		ok = ok && c >= 'A' && c <= 'Z'
	}
	if !ok {
		s.fail(errWord)
		return ""
	}
	return t
}

// degrees reads decimal degrees as AppendJSON writes them, with seven
// decimals, limit at most.
func (s *scanner) degrees(limit int) string {
	t := s.text()
	digits := t
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	point := len(digits) - 8
	if point < 1 || point > 3 || digits[point] != '.' || point > 1 && digits[0] == '0' {
		s.fail(errNumber)
		return ""
	}
	n, err := strconv.ParseUint(digits[:point]+digits[point+1:], 10, 64)
	if err != nil || n > uint64(limit)*1e7 {
		s.fail(errNumber)
		return ""
	}
	return t
}

func (s *scanner) hexText() string {
	t := s.text()
	for _, c := range []byte(t) {
		if unhex(c) < 0 {
			s.fail(errHex)
			return ""
		}
	}
	if len(t) == 0 || len(t)%2 != 0 {
		s.fail(errHex)
	}
	return t
}
