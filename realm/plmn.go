package realm

import "strings"

// networks finds routes by the mobile country code and the mobile network code
// of a realm (3GPP TS 23.003 section 19.2). A network code of two digits is that
// of three with a leading zero: realms do not tell them apart.
type networks struct {
	countries *[1000]*country // nil until there is one: most tables have none
	n         int
}

type country struct {
	all     int32 // 1 + number of the route of all networks, 0 none
	network [1000]int32
}

// ParsePLMN reads the subject of mobile networks: "plmn:262-01", or "plmn:262"
// for all of a country, where mnc is -1.
func ParsePLMN(subject string) (mcc, mnc int, ok bool) {
	text, ok := strings.CutPrefix(subject, SubjectPLMN)
	c, n, one := strings.Cut(text, "-")
	if !ok || len(c) != 3 || one && len(n) != 2 && len(n) != 3 {
		return 0, 0, false
	}
	mcc, ok = decimal([]byte(c))
	if !ok || !one {
		return mcc, -1, ok
	}
	mnc, ok = decimal([]byte(n))
	return mcc, mnc, ok
}

func decimal(b []byte) (n int, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

func (x *networks) add(subject string, i int32) int32 {
	place := x.place(subject, true)
	if place == nil {
		return -1
	}
	if *place == 0 {
		*place = i + 1
		x.n++
	}
	return *place - 1
}

func (x *networks) place(subject string, make bool) *int32 {
	mcc, mnc, ok := ParsePLMN(subject)
	if !ok {
		return nil
	}
	if x.countries == nil {
		if !make {
			return nil
		}
		x.countries = new([1000]*country)
	}
	if x.countries[mcc] == nil {
		if !make {
			return nil
		}
		x.countries[mcc] = &country{}
	}
	if mnc < 0 {
		return &x.countries[mcc].all
	}
	return &x.countries[mcc].network[mnc]
}

func (x *networks) entry(subject string) int32 {
	place := x.place(subject, false)
	if place == nil {
		return -1
	}
	return *place - 1
}

// find gives the routes of a network and of its country, -1 for none.
//
// hot: 0 allocs
func (x *networks) find(mcc, mnc [3]byte) (network, all int32) {
	c := x.countries[int(mcc[0]-'0')*100+int(mcc[1]-'0')*10+int(mcc[2]-'0')]
	if c == nil {
		return -1, -1
	}
	return c.network[int(mnc[0]-'0')*100+int(mnc[1]-'0')*10+int(mnc[2]-'0')] - 1, c.all - 1
}
