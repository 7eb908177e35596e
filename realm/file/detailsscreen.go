package file

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/roamgate/roamgate/realm"
)

func screeningsOf(s *realm.Set) []object[*realm.Screening] {
	return objectsOf(s.Screenings, func(v **realm.Screening) (string, realm.Pos) { return (*v).Name, (*v).Pos })
}

func steeringsOf(s *realm.Set) []object[*realm.Steering] {
	return objectsOf(s.Steerings, func(v **realm.Steering) (string, realm.Pos) { return (*v).Name, (*v).Pos })
}

var screeningFields = []property[*realm.Screening]{
	{"rules", func(_ *realm.Set, s **realm.Screening) string {
		var words []string
		for r, a := range (*s).Rules {
			words = append(words, fmt.Sprintf("%s %s %d/%d", realm.ScreenRule(r), a.Mode, a.Vendor, a.Result))
		}
		return strings.Join(words, ", ")
	}},
	{"applications", func(_ *realm.Set, s **realm.Screening) string {
		return strings.Join(named((*s).Applications, ApplicationName), ", ")
	}},
	{"refuse", func(_ *realm.Set, s **realm.Screening) string {
		return strings.Join(named((*s).Commands, CommandName), ", ")
	}},
	{"networks", func(_ *realm.Set, s **realm.Screening) string {
		var words []string
		for name, list := range (*s).Networks {
			words = append(words, name+" "+realm.NewNetworks(list).String())
		}
		slices.Sort(words)
		return strings.Join(words, ", ")
	}},
	{"service_centres", func(_ *realm.Set, s **realm.Screening) string {
		var words []string
		for _, c := range (*s).ServiceCentres {
			words = append(words, c.Realm+" "+c.Digits)
		}
		return strings.Join(words, ", ")
	}},
	{"learn", func(_ *realm.Set, s **realm.Screening) string { return (*s).Learn.String() }},
	{"travel", func(_ *realm.Set, s **realm.Screening) string { return (*s).Travel.String() }},
	{"requests", func(_ *realm.Set, s **realm.Screening) string { return strconv.Itoa((*s).Rate) }},
	{"subscribers", func(_ *realm.Set, s **realm.Screening) string { return strconv.Itoa((*s).Subscribers) }},
}

var steeringFields = []property[*realm.Steering]{
	{"networks", func(_ *realm.Set, s **realm.Steering) string { return (*s).Networks.String() }},
	{"preferred", func(_ *realm.Set, s **realm.Steering) string { return (*s).Preferred.String() }},
	{"reject", func(_ *realm.Set, s **realm.Steering) string { return strconv.Itoa((*s).Reject) }},
	{"give_up", func(_ *realm.Set, s **realm.Steering) string { return strconv.Itoa((*s).GiveUp) }},
	{"memory", func(_ *realm.Set, s **realm.Steering) string { return (*s).Memory.String() }},
	{"last_resort", func(_ *realm.Set, s **realm.Steering) string {
		return strings.Join(named((*s).LastResort, radioName), ", ")
	}},
	{"result", func(_ *realm.Set, s **realm.Steering) string { return strconv.Itoa(int((*s).Result)) }},
	{"devices", func(_ *realm.Set, s **realm.Steering) string { return strconv.Itoa((*s).Devices) }},
}

// radioName is a RAT-Type in the words of the files.
func radioName(n uint32) string {
	for name, v := range radios {
		if v == n {
			return name
		}
	}
	return strconv.Itoa(int(n))
}
