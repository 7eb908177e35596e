package diameter_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/fiorix/go-diameter/v4/diam"
	godict "github.com/fiorix/go-diameter/v4/diam/dict"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/diameter/dict"
)

// unread are the valid vectors that go-diameter does not read, and why.
var unread = map[string]string{
	"DER": "no dictionary", "DEA with a key": "no dictionary", "DER of SWm": "no dictionary", "CMR of NIDD": "no dictionary", "ODR of NIDD": "no dictionary",
	"TDR of NIDD": "no dictionary", "CIR of S6t": "no dictionary", "OFR of SGd": "no dictionary", "SRR of S6c": "no dictionary",
	"PPR": "no dictionary", "AAR of S6b": "no dictionary", "RIR of S6t": "no dictionary", "NIR of S6t": "no dictionary", "CIR of T6a": "no dictionary",
	"RIR of T6a": "no dictionary", "TFR of SGd": "no dictionary", "ALR of S6c": "no dictionary", "RDR of S6c": "no dictionary", "DER of STa": "no dictionary",
	"ODA of NIDD": "no dictionary",
	"an answer with overload and load reports": "it takes Load for the AVP of 3GPP with that code, and panics",
}

// D47: TestGoDiameter: go-diameter finds the same AVPs in the valid vectors as we do, with
// the same values.
func TestGoDiameter(t *testing.T) {
	text, err := os.ReadFile("../../test/vectors/diameter/valid.txt") // on others it panics
	require.NoError(t, err)
	valid, err := dict.Vectors(string(text))
	require.NoError(t, err)
	for _, v := range valid {
		why := unread[v.Name]
		if why != "" && why != "no dictionary" {
			continue
		}
		m, err := diam.ReadMessage(bytes.NewReader(v.Raw), godict.Default)
		if why != "" {
			assert.ErrorContains(t, err, "Could not find preloaded Command", v.Name)
			continue
		}
		require.NoError(t, err, v.Name)
		var ours diameter.Message
		require.Equal(t, diameter.NoFault, ours.Parse(v.Raw))
		assert.EqualValues(t, ours.Command, m.Header.CommandCode, v.Name)
		assert.EqualValues(t, ours.Flags, m.Header.CommandFlags, v.Name)
		assert.EqualValues(t, ours.Application, m.Header.ApplicationID, v.Name)
		assert.EqualValues(t, ours.HopByHop, m.Header.HopByHopID, v.Name)
		assert.EqualValues(t, ours.EndToEnd, m.Header.EndToEndID, v.Name)
		compare(t, v.Name, ours.Body(), m.AVP)
	}
}

func compare(t *testing.T, name string, avps []byte, theirs []*diam.AVP) {
	t.Helper()
	var a diameter.AVP
	i := 0
	for c := diameter.Walk(avps); c.Next(&a); i++ {
		if !assert.Less(t, i, len(theirs), name) {
			return
		}
		o := theirs[i]
		assert.Equal(t, a.Code, o.Code, name)
		assert.Equal(t, a.Vendor, o.VendorID, name)
		assert.EqualValues(t, a.Flags, o.Flags, name)
		if g, ok := o.Data.(*diam.GroupedAVP); ok {
			compare(t, name, a.Data, g.AVP)
			continue
		}
		assert.Equal(t, a.Data, o.Data.Serialize(), "%s: AVP %d", name, a.Code)
	}
	assert.Equal(t, i, len(theirs), name)
}
