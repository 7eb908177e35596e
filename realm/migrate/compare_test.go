package migrate_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/realm/migrate"
)

func TestCompare(t *testing.T) {
	to := func(user string, ordered bool, homes ...string) migrate.Decision {
		return migrate.Decision{Outcome: migrate.Forwarded, Homes: homes, Ordered: ordered, User: user}
	}
	is := func(o migrate.Outcome, why string) migrate.Decision { return migrate.Decision{Outcome: o, Why: why} }
	ours := func(d migrate.Decision, reason string) migrate.Ours { return migrate.Ours{Decision: d, Reason: reason} }
	rejected := is(migrate.Rejected, "")
	for name, c := range map[string]struct {
		name     string
		original migrate.Decision
		ours     migrate.Ours
		equal    bool
		rule     string
	}{
		"the same":            {"u@a", to("u", true, "1", "2"), ours(to("u", true, "1", "2"), ""), true, ""},
		"another order":       {"u@a", to("u", true, "1", "2"), ours(to("u", true, "2", "1"), ""), false, ""},
		"no order":            {"u@a", to("u", false, "1", "2"), ours(to("u", true, "2", "1"), ""), true, ""},
		"another home":        {"u@a", to("u", true, "1"), ours(to("u", true, "2"), ""), false, ""},
		"a home more":         {"u@a", to("u", true, "1"), ours(to("u", true, "1", "2"), ""), false, ""},
		"a home less":         {"u@a", to("u", true, "1", "2"), ours(to("u", true, "1"), ""), false, ""},
		"another user":        {"u@a", to("u", true, "1"), ours(to("u@a", true, "1"), ""), false, ""},
		"both reject":         {"u@a", rejected, ours(rejected, "no_route"), true, ""},
		"local":               {"u@a", is(migrate.Local, ""), ours(rejected, "no_route"), false, migrate.RuleLocal},
		"local, forwarded":    {"u@a", is(migrate.Local, ""), ours(to("u", true, "1"), ""), false, ""},
		"local, stored":       {"u@a", is(migrate.Local, ""), ours(is(migrate.Local, ""), ""), true, ""},
		"silence":             {"u@a", is(migrate.Silent, ""), ours(rejected, "no_route"), false, migrate.RuleSilence},
		"silence, forwarded":  {"u@a", is(migrate.Silent, ""), ours(to("u", true, "1"), ""), false, ""},
		"filtered":            {"u @a", is(migrate.Rejected, "filter_username: whitespace"), ours(to("u", true, "1"), ""), false, migrate.RuleFilter},
		"rejected, forwarded": {"u@a", rejected, ours(to("u", true, "1"), ""), false, ""},
		"malformed":           {"u@a..b", to("u", true, "1"), migrate.Ours{Decision: rejected, Reason: "bad_realm", Malformed: true}, false, migrate.RuleMalformed},
		"hairpin":             {"u@a", to("u", true, "1"), ours(rejected, "hairpin"), false, migrate.RuleHairpin},
		"stripped in front":   {`A\u`, to("u", true, "1"), ours(rejected, "route_rejects"), false, migrate.RuleStrip},
		"refused":             {"u@a", to("u", true, "1"), ours(rejected, "route_rejects"), false, ""},
		"no route":            {"u@a", to("u", true, "1"), ours(rejected, "no_route"), false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			equal, rule := migrate.Compare(migrate.Request{Name: c.name}, c.original, c.ours)
			assert.Equal(t, c.equal, equal)
			assert.Equal(t, c.rule, rule)
			assert.Equal(t, rule == "", migrate.RuleText(rule) == "")
		})
	}
}
