package realm_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/realm"
)

// Expressions are asked by rank, whether they have conditions or not.
func TestRankOfConditionedExpression(t *testing.T) {
	table := realm.NewTable([]realm.Route{
		{Realm: "name~@.*$", Name: "some", Rank: 61, When: &realm.Condition{Clients: []string{"x"}}},
		{Realm: "name~@.*$", Name: "all", Rank: 70},
		{Realm: `name~@a\.b$`, Name: "first", Rank: 10},
	})
	for from, want := range map[string]string{"x": "some", "y": "all"} {
		r, _ := table.Find(&realm.Query{Name: []byte("u@c.d"), User: []byte("u"), Realm: []byte("c.d"), Client: &realm.Client{Name: from}})
		assert.Equal(t, want, r.Name)
		r, _ = table.Find(&realm.Query{Name: []byte("u@a.b"), User: []byte("u"), Realm: []byte("a.b"), Client: &realm.Client{Name: from}})
		assert.Equal(t, "first", r.Name)
	}
}
