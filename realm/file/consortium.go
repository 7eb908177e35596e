package file

import (
	"strings"

	"github.com/roamgate/roamgate/pkg/wba"
	"github.com/roamgate/roamgate/realm"
)

const (
	wordFree    = "free"
	wordSettled = "settled"
)

// consortium reads whose rules the peers of a group follow, and on what terms.
func (l *loader) consortium(e *groupEntry, g *realm.Group) {
	file := e.Pos.File
	g.Consortium = choose(l, e.Pos, "consortium", e.Consortium, realm.NoConsortium,
		[]string{"none", "openroaming"}, realm.NoConsortium, realm.OpenRoaming)
	g.Terms.Settled = choose(l, e.Pos, "settlement", e.Settlement, false, []string{wordFree, wordSettled}, false, true)
	g.Terms.Downgrade = choose(l, e.Pos, "uncleared", e.Uncleared, false, []string{"reject", wordFree}, false, true)
	g.Terms.Tariff = strings.Clone(e.Tariff.v)
	if text := badText(e.Tariff.v); text != "" || e.Tariff.set() && e.Tariff.v == "" {
		if text == "" {
			text = "the name is empty"
		}
		l.fail(e.Tariff.pos(file), "without the key whoever wants to be paid must offer a rate", "tariff: %s", text)
	}
	if g.Consortium != realm.NoConsortium {
		return
	}
	for _, k := range []struct {
		key  string
		word at[string]
	}{{"settlement", e.Settlement}, {"uncleared", e.Uncleared}, {"tariff", e.Tariff}} {
		if k.word.set() {
			l.fail(k.word.pos(file), "add consortium: openroaming", "%s is said of no consortium", k.key)
		}
	}
}

// homeOperator reads whose home it is: what WBA-Identity-Provider can say.
func (l *loader) homeOperator(e *homeEntry) string {
	if !wba.IsIdentityProvider([]byte(e.Operator.v)) {
		l.fail(e.Operator.pos(e.Pos.File), "0 and a TADIG code, or 4 and a WBAID: such as 4HOME:US",
			"%s is no identity provider of the WBA", quote(e.Operator.v))
		return ""
	}
	return strings.Clone(e.Operator.v)
}

func settlementText(g *realm.Group) string {
	switch {
	case g.Consortium == realm.NoConsortium && !g.Terms.Settled:
		return ""
	case g.Terms.Settled:
		return wordSettled
	}
	return wordFree
}

func unclearedText(g *realm.Group) string {
	switch {
	case g.Consortium == realm.NoConsortium && !g.Terms.Downgrade:
		return ""
	case g.Terms.Downgrade:
		return wordFree
	}
	return "reject"
}
