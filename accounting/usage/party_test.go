package usage

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
)

func TestParseOperator(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     Party
		ok       bool
	}{
		{"TADIG", "0CHEC1", Party{TADIG: "CHEC1"}, true},
		{"TADIG in small letters", "0chec1", Party{TADIG: "CHEC1"}, true},
		{"TADIG too short", "0CHE", Party{}, false},
		{"TADIG with a space", "0CHE 1", Party{}, false},
		{"realm", "1Airport.Example", Party{Realm: "airport.example"}, true},
		{"no realm", "1air port.example", Party{}, false},
		{"realm with a user", "1u@airport.example", Party{}, false},
		{"realm of one label", "1airport", Party{}, false},
		{"two digits of network", "222801", Party{E212: "22801"}, true},
		{"three digits of network", "2310012", Party{E212: "310012"}, true},
		{"a letter in it", "2228O1", Party{}, false},
		{"too many digits", "22280123", Party{}, false},
		{"carrier", "3CHESWI1", Party{ICC: "CHESWI1"}, true},
		{"country without a carrier", "3CHE", Party{}, false},
		{"WBA", "4WBA:CH", Party{WBAID: "WBA", Country: "CH"}, true},
		{"WBA sub identity", "4SUB-1.WBA:us", Party{WBAID: "SUB-1.WBA", Country: "US"}, true},
		{"WBA without a country", "4WBA", Party{WBAID: "WBA"}, true},
		{"WBA with half a country", "4WBA:C", Party{}, false},
		{"WBA with two countries", "4WBA:CH:DE", Party{}, false},
		{"WBA with an empty label", "4.WBA:CH", Party{}, false},
		{"WBA with a line break", "4WBA\n:CH", Party{}, false},
		{"another namespace", "5x", Party{}, false},
		{"no namespace", "airport.example", Party{}, false},
		{"namespace alone", "1", Party{}, false},
		{"nothing", "", Party{}, false},
		{"no UTF-8", "4\xff\xfe:CH", Party{}, false},
		{"too long", "1" + strings.Repeat("a.", 130) + "example", Party{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, ok := ParseOperator(tt.in)
			assert.Equal(t, tt.ok, ok)
			if ok {
				assert.Equal(t, tt.want, p)
			}
		})
	}
}

func FuzzParseOperator(f *testing.F) {
	for _, s := range []string{"0CHEC1", "1a.example", "222801", "3CHESWI1", "4SUB.WBA:CH", "1\x00", "4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, ok := ParseOperator(s)
		if !ok {
			return
		}
		require.NotEqual(t, Party{}, p)
		for _, name := range []string{p.Realm, p.TADIG, p.E212, p.ICC, p.WBAID, p.Country} {
			require.LessOrEqual(t, len(name), 253)
			require.NotContains(t, name, "\x00")
			require.NotContains(t, name, "\n")
		}
	})
}

func TestDescribe(t *testing.T) {
	var p Report
	require.NoError(t, ParseReport(line(stop(), accounting.View{Plain: true}), &p))
	p.Node, p.Epoch = "n1", 4
	p.Realm = "wlan.mnc015.mcc234.3gppnetwork.org"
	var r Record
	r.Describe(&p)
	assert.Equal(t, Party{WBAID: "WBA", Country: "CH"}, r.Visited)
	assert.Equal(t, Party{Realm: p.Realm, E212: "23415"}, r.Home)
	assert.Equal(t, "Wireless - IEEE 802.11", r.AccessType)
	assert.Equal(t, "WLAN", r.RAT)
	assert.Equal(t, Source{Node: "n1", Epoch: 4, Seq: 7}, r.Source)
	assert.Equal(t, Hash(p.Evidence), r.Evidence)
	assert.Equal(t, p.Location, r.Location)
	assert.Equal(t, p.Service, r.Service)
	assert.Equal(t, p.DeviceHash, r.Device)
	assert.Equal(t, p.Device, r.PlainDevice)
	assert.True(t, r.PolicyStale)

	// A stop that says nothing takes nothing away.
	before := r
	r.Describe(&Report{Node: "n2", Client: "hotspots", Operator: "4WBA:CH", Country: "CH", Seq: 9})
	before.Hub, before.Source, before.Evidence = "n2", Source{Node: "n2", Seq: 9}, Hash{}
	assert.Equal(t, before, r)
}

// Who pays gets the records where nobody else is named, also when a later report
// names another.
func TestDescribeDataClearing(t *testing.T) {
	var r Record
	r.Describe(&Report{Service: Service{FinancialClearing: "4PAYS:US"}})
	assert.Equal(t, "4PAYS:US", r.Service.DataClearing)
	r.Describe(&Report{Service: Service{FinancialClearing: "4PAYS:US", DataClearing: "4RECORDS:US"}})
	assert.Equal(t, Service{FinancialClearing: "4PAYS:US", DataClearing: "4RECORDS:US"}, r.Service)
	r.Describe(&Report{})
	assert.Equal(t, Service{FinancialClearing: "4PAYS:US", DataClearing: "4RECORDS:US"}, r.Service)
}

func TestParties(t *testing.T) {
	for _, tt := range []struct {
		name          string
		report        Report
		visited, home Party
	}{
		{"configured", Report{Operator: "1a.example", OperatorName: "4WBA:CH", Country: "de", Realm: "h.example"},
			Party{Realm: "a.example", Country: "DE"}, Party{Realm: "h.example"}},
		{"claimed", Report{OperatorName: "4WBA:CH", Realm: "h.example"}, Party{WBAID: "WBA", Country: "CH"}, Party{Realm: "h.example"}},
		{"claimed badly", Report{OperatorName: "4\x01", Realm: "h.example"}, Party{}, Party{Realm: "h.example"}},
		{"the packet's place", Report{Operator: "0CHEC1", Country: "CH", Location: Location{Country: "LI"}}, Party{TADIG: "CHEC1", Country: "LI"}, Party{}},
		{"no country", Report{Operator: "0CHEC1", Country: "C1"}, Party{TADIG: "CHEC1"}, Party{}},
		{"three digits of network", Report{Realm: "wlan.mnc012.mcc310.3gppnetwork.org"}, Party{}, Party{Realm: "wlan.mnc012.mcc310.3gppnetwork.org", E212: "310012"}},
		{"another home is claimed", Report{Realm: "wlan.mnc015.mcc234.3gppnetwork.org", HomePLMN: "22801"}, Party{}, Party{Realm: "wlan.mnc015.mcc234.3gppnetwork.org", E212: "234015"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r Record
			r.Describe(&tt.report)
			assert.Equal(t, tt.visited, r.Visited)
			assert.Equal(t, tt.home, r.Home)
		})
	}
}

func TestNames(t *testing.T) {
	assert.Equal(t, "xPON", AccessType(35))
	assert.Equal(t, "NAS-Port-Type 4294967295", AccessType(1<<32-1))
	assert.Equal(t, "EUTRAN-NB-IoT", RAT(8))
	assert.Equal(t, "3GPP-RAT-Type 0", RAT(0))
	for i, name := range accessTypes {
		assert.NotEmpty(t, name, i)
	}
}
