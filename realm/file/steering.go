package file

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roamgate/roamgate/realm"
)

// steeringEntry says which networks devices are steered away from.
type steeringEntry struct {
	Pos        realm.Pos         `yaml:",pos"`
	Name       at[string]        `yaml:"name,required"`
	Networks   []at[string]      `yaml:"networks"`
	Preferred  []at[string]      `yaml:"preferred"`
	Reject     at[int]           `yaml:"reject"`
	GiveUp     at[int]           `yaml:"give_up"`
	Memory     at[time.Duration] `yaml:"memory"`
	LastResort []at[string]      `yaml:"last_resort"`
	Result     at[uint32]        `yaml:"result"`
	Devices    at[int]           `yaml:"devices"`
}

// radios are the values of RAT-Type (TS 29.212 section 5.3.31) by the names that
// profiles of the device policy have for them.
var radios = map[string]uint32{
	"wlan": 0, "virtual": 1, "utran": 1000, "geran": 1001, "gan": 1002, "hspa-evolution": 1003, "eutran": 1004,
	"nb-iot": 1005, "nr": 1006, "lte-m": 1007,
}

const maxSteered = 20 // requests of a device that are refused

func (l *loader) steering(e *steeringEntry) {
	if e.Pos.Line == 0 || !l.name(e.Pos, e.Name) {
		return
	}
	file := e.Pos.File
	s := realm.NewSteering(strings.Clone(e.Name.v))
	s.Pos = e.Pos
	if first, twice := l.steerings[s.Name]; twice {
		l.twice(e.Name.pos(file), first.Pos, "steering", s.Name)
		return
	}
	l.steerings[s.Name] = s
	l.set.Steerings = append(l.set.Steerings, s)
	if len(e.Networks) == 0 {
		l.fail(e.Pos, "add networks:, such as 262 for a country", "steering %s steers away from nothing", quote(s.Name))
	}
	s.Networks = realm.NewNetworks(l.networks(e.Pos, "networks", e.Networks))
	s.Preferred = realm.NewNetworks(l.networks(e.Pos, "preferred", e.Preferred))
	l.within(e.Pos, "reject", e.Reject, 1, maxSteered, &s.Reject)
	l.within(e.Pos, "give_up", e.GiveUp, 1, maxSteered, &s.GiveUp)
	l.span(e.Pos, "memory", e.Memory, time.Minute, maxSteeredTime, &s.Memory)
	l.within(e.Pos, "devices", e.Devices, minRemembered, maxRemembered, &s.Devices)
	for _, word := range e.LastResort {
		n, ok := radios[foldASCII(word.v)]
		if !ok {
			v, err := strconv.ParseUint(word.v, 10, 32)
			n, ok = uint32(v), err == nil
		}
		switch pos := word.pos(file); {
		case !ok:
			l.fail(pos, nearestWord(word.v, keysOf(radios), "such as nb-iot, or the number of a RAT-Type"), "last_resort: %s is no radio", quote(word.v))
		case slices.Contains(s.LastResort, n):
			l.warn(pos, "remove it", "last_resort: %s stands twice", quote(word.v))
		default:
			s.LastResort = append(s.LastResort, n)
		}
	}
	if r := e.Result; r.set() {
		if s.Result = r.v; r.v < 4000 || r.v > maxResult {
			l.fail(r.pos(file), "5004 is usual", "result: %d refuses nothing", r.v)
		}
	}
}

// steeringOf gives the steering that a realm names, nil: none, or there is none.
func (l *loader) steeringOf(e *realmEntry) *realm.Steering {
	if !e.Steering.set() {
		return nil
	}
	pos := e.Steering.pos(e.Pos.File)
	s, known := l.steerings[e.Steering.v]
	if !known && !l.partial {
		l.fail(pos, meant(e.Steering.v, l.steerings, "add it under steerings:"), "steering %s does not exist", quote(e.Steering.v))
	}
	switch action := e.Diameter.Action.v; {
	case !e.Diameter.set():
		l.fail(pos, "add diameter: with a pool of peers, or remove it", "steering: no Update-Location-Request is proxied here")
	case action == realm.DiameterRelay.String():
		l.fail(pos, "write action: proxy, or remove it", "steering: action: relay passes Update-Location-Requests on as they are")
	case action != "" && action != realm.DiameterProxy.String():
		l.fail(pos, "remove it", "steering: with action: %s no Update-Location-Request is proxied", action)
	}
	return s
}
