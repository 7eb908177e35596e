package usage

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/roamgate/roamgate/accounting"
)

// anyRecord makes records of every kind, with and without each thing that may
// be missing, and with the texts that strangers choose.
func anyRecord(rng *rand.Rand) *Record {
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	text := func() string {
		return pick("", "plain", "=1+2", "@x", "-5", "+1", "'quoted", "a,b", `say "no"`, " space ", "é😀", "\ufffd\ufffd",
			"＝1", "line\r\nbreak", "tab\tnul\x00", "<&>", strings.Repeat("x", 253))
	}
	key := func() (k accounting.Key) {
		if rng.IntN(3) > 0 {
			for i := range k {
				k[i] = byte(rng.Uint32())
			}
		}
		return k
	}
	certain := func() accounting.Key {
		k := key()
		k[0] |= 1
		return k
	}
	party := func() Party {
		if rng.IntN(4) == 0 {
			return Party{}
		}
		return Party{Realm: pick("", "a.example"), WBAID: pick("", "WBA"), TADIG: pick("", "CHEC1"), E212: pick("", "22801"), ICC: pick("", "CHESWI1"), Country: pick("", "CH")}
	}
	figure := func() int64 { return []int64{0, 1, -1, 1 << 40, -1 << 62, 1<<63 - 1}[rng.IntN(6)] }
	count := func() int { return []int{0, 1, 3, 1<<31 - 1}[rng.IntN(4)] }
	r := &Record{
		Schema: SchemaVersion, ID: certain(), Status: []Status{Final, Partial, Estimated, Correction}[rng.IntN(4)], Billable: rng.IntN(2) == 0,
		Session: certain(), Part: 1 + rng.IntN(3), Journey: key(), Leg: rng.IntN(3),
		Visited: party(), Home: party(), Hub: text(), Client: text(), Route: text(),
		Device: key(), User: key(), CUI: key(), PlainDevice: text(), PlainUser: text(), PlainCUI: text(),
		SessionID: text(), MultiSessionID: text(), NAS: text(), NASAddress: pick("", "10.0.0.1", "2001:db8::1"), CalledStation: text(),
		Start: time.Unix(rng.Int64N(1<<32), 0).UTC(), End: time.Unix(rng.Int64N(1<<32), 0).UTC(), Offset: []int{0, 3600, -6 * 3600}[rng.IntN(3)],
		Seconds: figure(), InputOctets: figure(), OutputOctets: figure(), InputPackets: figure(), OutputPackets: figure(),
		Reports:    Reports{Starts: count(), Interims: count(), Stops: count()},
		AccessType: pick("", AccessType(19), AccessType(200)), RAT: pick("", RAT(3)),
		PolicyVersion: rng.Uint32(), PolicyStale: rng.IntN(2) == 0, TerminateCause: rng.Uint32(),
		Source: Source{Node: text(), Epoch: rng.Uint64(), Seq: rng.Uint64()},
	}
	for i := range r.Evidence {
		r.Evidence[i] = byte(rng.Uint32())
	}
	if r.Status == Correction {
		k := certain()
		r.Corrects = &k
	}
	for range rng.IntN(4) {
		r.Classes = append(r.Classes, certain())
	}
	for range rng.IntN(3) {
		r.Exceptions = append(r.Exceptions, meanings[rng.IntN(len(meanings))].code)
	}
	if rng.IntN(2) == 0 {
		r.Location = Location{Country: pick("", "CH"), Latitude: pick("", "46.9480000"), Longitude: pick("", "-7.4474000"), PLMN: pick("", "22801"), Cell: pick("", "0122f8")}
		if rng.IntN(2) == 0 {
			r.Location.Civic = map[string]string{"3": "Bern", "19": "=A1", "6": "é\"\r\n"}
		}
	}
	if rng.IntN(2) == 0 {
		r.Service = Service{Offered: text(), Granted: text(), FinancialClearing: text(), DataClearing: text(), ChargingID: rng.Uint32()}
		if rng.IntN(2) == 0 {
			r.Service.Rate = &Rate{Currency: "CHF", Index: uint8(rng.Uint32()), Nanos: rng.Uint32()}
		}
	}
	return r
}
