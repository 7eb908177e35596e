package node

import (
	"fmt"
	"slices"
	"strings"

	dia "github.com/roamgate/roamgate/pkg/diameter"
)

// Step is a request of a conversation.
type Step uint8

// The steps.
const (
	AIR Step = iota
	ULR
	PUR
	NOR
	AAR
	DER
	STR
	RecordStart
	RecordInterim
	RecordStop
	RecordEvent
	CCRInitial
	CCRUpdate
	CCRTerminate
	CCREvent
	ODR
	steps
)

var stepTable = [steps]struct {
	name        string
	command     uint32
	application uint32
	kind        uint32 // of the record or of the credit request
}{
	AIR: {"air", dia.AuthenticationInfo, dia.AppS6a, 0},
	ULR: {"ulr", dia.UpdateLocation, dia.AppS6a, 0},
	PUR: {"pur", dia.PurgeUE, dia.AppS6a, 0},
	NOR: {"nor", dia.Notify, dia.AppS6a, 0},
	AAR: {"aar", dia.AA, dia.AppNASREQ, 0},
	DER: {"der", dia.EAP, dia.AppEAP, 0},
	STR: {"str", dia.SessionTermination, dia.AppNASREQ, 0},

	RecordStart:   {"start", dia.Accounting, dia.AppAccounting, 2},
	RecordInterim: {"interim", dia.Accounting, dia.AppAccounting, 3},
	RecordStop:    {"stop", dia.Accounting, dia.AppAccounting, StopRecord},
	RecordEvent:   {"event", dia.Accounting, dia.AppAccounting, 1},

	CCRInitial:   {"ccr-i", dia.CreditControl, dia.AppCredit, 1},
	CCRUpdate:    {"ccr-u", dia.CreditControl, dia.AppCredit, 2},
	CCRTerminate: {"ccr-t", dia.CreditControl, dia.AppCredit, 3},
	CCREvent:     {"ccr-e", dia.CreditControl, dia.AppCredit, 4},

	ODR: {"odr", dia.MOData, dia.AppT6a, 0},
}

// StopRecord is the Accounting-Record-Type of a session that has ended.
const StopRecord = 4

// Roles are conversations that a kind of node has, by its name.
var Roles = map[string][]Step{
	"mme":      {AIR, ULR, PUR},
	"nas":      {AAR, RecordStart, RecordInterim, RecordStop, STR},
	"eap":      {DER, RecordStart, RecordStop, STR},
	"charging": {CCRInitial, CCRUpdate, CCRTerminate},
	"iwk-scef": {ODR},
}

// RoleNames are the names of Roles.
func RoleNames() (all []string) {
	for name := range Roles {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// StepNames are what ParseSteps reads.
func StepNames() (all []string) {
	for i := range stepTable {
		all = append(all, stepTable[i].name)
	}
	return all
}

// String gives the name used in flags.
func (s Step) String() string { return stepTable[s].name }

// ParseSteps reads names of steps with commas between them.
func ParseSteps(text string) (all []Step, err error) {
	names := StepNames()
	for name := range strings.SplitSeq(text, ",") {
		i := slices.Index(names, name)
		if i < 0 {
			return nil, fmt.Errorf("step %q: want some of %s", name, strings.Join(names, ", "))
		}
		all = append(all, Step(i))
	}
	return all, nil
}

// Applications are what a node needs that has these steps.
func Applications(all []Step) (apps []uint32) {
	for _, s := range all {
		if app := stepTable[s].application; !slices.Contains(apps, app) {
			apps = append(apps, app)
		}
	}
	return apps
}
