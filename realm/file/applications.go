package file

import (
	"strconv"

	"github.com/roamgate/roamgate/pkg/diameter"
)

// numbered is a word of the files for a number of Diameter.
type numbered struct {
	word   string
	number uint32
}

// applications are the words for what is spoken with peers.
var applications = []numbered{
	{"nasreq", diameter.AppNASREQ}, {"accounting", diameter.AppAccounting}, {"credit", diameter.AppCredit}, {"eap", diameter.AppEAP},
	{"s6a", diameter.AppS6a}, {"s13", diameter.AppS13}, {"swx", diameter.AppSWx}, {"sta", diameter.AppSTa}, {"swm", diameter.AppSWm},
	{"s6b", diameter.AppS6b}, {"gx", diameter.AppGx}, {"s9", diameter.AppS9}, {"s6t", diameter.AppS6t}, {"t6a", diameter.AppT6a},
	{"s6c", diameter.AppS6c}, {"sgd", diameter.AppSGd}, {wordRelay, diameter.AppRelay},
}

// wordRelay is an agent, with which anything is spoken.
const wordRelay = "relay"

// commands are the usual short forms. Where two applications have one, it is that of
// both: a route names its applications.
var commands = []numbered{
	{"AAR", diameter.AA}, {"ACR", diameter.Accounting}, {"ASR", diameter.AbortSession}, {"CCR", diameter.CreditControl},
	{"DER", diameter.EAP}, {"RAR", diameter.ReAuth}, {"STR", diameter.SessionTermination},
	{"ULR", diameter.UpdateLocation}, {"CLR", diameter.CancelLocation}, {"AIR", diameter.AuthenticationInfo},
	{"IDR", diameter.InsertSubscriberData}, {"DSR", diameter.DeleteSubscriberData}, {"PUR", diameter.PurgeUE},
	{"RSR", diameter.Reset}, {"NOR", diameter.Notify}, {"ECR", diameter.MEIdentityCheck},
	{"MAR", 303}, {"SAR", 301}, {"RTR", 304}, {"PPR", 305},
	{"CIR", diameter.ConfigurationInfo}, {"RIR", diameter.ReportingInfo}, {"NIR", diameter.NIDDInformation},
	{"CMR", diameter.ConnectionManagement}, {"ODR", diameter.MOData}, {"TDR", diameter.MTData},
	{"OFR", diameter.MOForwardSM}, {"TFR", diameter.MTForwardSM}, {"SRR", diameter.SendRoutingInfoSM},
}

// maxCommand bounds a command code, which has 24 bits.
const maxCommand = 1<<24 - 1

// Application reads an application as the files write it: a word or a number.
func Application(s string) (uint32, bool) { return numberOf(applications, foldASCII(s), 1<<32-1) }

// Command reads a command likewise: its short form or its code.
func Command(s string) (uint32, bool) {
	for _, c := range commands {
		if foldASCII(c.word) == foldASCII(s) {
			return c.number, true
		}
	}
	return numberOf(nil, s, maxCommand)
}

// ApplicationName and CommandName say a number in the words of the files.
func ApplicationName(n uint32) string { return wordOf(applications, n) }

// CommandName is the short form of a request, or its code.
func CommandName(n uint32) string { return wordOf(commands, n) }

func numberOf(list []numbered, s string, most uint64) (uint32, bool) {
	for _, w := range list {
		if w.word == s {
			return w.number, true
		}
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil && n <= most && n > 0
}

func wordOf(list []numbered, n uint32) string {
	for _, w := range list {
		if w.number == n {
			return w.word
		}
	}
	return strconv.FormatUint(uint64(n), 10)
}

func wordsOf(list []numbered, numbers []uint32) []string {
	out := make([]string, len(numbers))
	for i, n := range numbers {
		out[i] = wordOf(list, n)
	}
	return out
}

// application and command read words of lists; text is empty if they are understood.
func application(s string) (n uint32, text, hint string) {
	if n, ok := Application(s); ok {
		return n, "", ""
	}
	return 0, "is no application", nearestWord(s, applications, "such as s6a, nasreq, eap, or a number")
}

func command(s string) (n uint32, text, hint string) {
	if n, ok := Command(s); ok {
		return n, "", ""
	}
	return 0, "is no command", nearestWord(s, commands, "such as ULR, AAR, or a number")
}

func nearestWord(s string, list []numbered, otherwise string) string {
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = w.word
	}
	if n := nearest(s, words); n != "" {
		return "did you mean " + n + "?"
	}
	return otherwise
}
