package file

import (
	"strconv"
	"strings"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/diameter/dict"
)

// maxCommand bounds a command code, which has 24 bits.
const maxCommand = 1<<24 - 1

// wordRelay is what an agent speaks: anything.
const wordRelay = "relay"

// Application reads an application as the files write it: a word or a number.
func Application(s string) (n uint32, ok bool) {
	if foldASCII(s) == wordRelay {
		return diameter.AppRelay, true
	}
	n, ok = dict.AppNamed(s)
	return n, ok && n != diameter.AppBase
}

// Command reads a command: the short form of its request, or its code.
func Command(s string) (n uint32, ok bool) {
	if c, request, ok := dict.CommandNamed(s); ok {
		return c.Code, request
	}
	v, err := strconv.ParseUint(s, 10, 24)
	return uint32(v), err == nil && v > 0 && v <= maxCommand
}

// ApplicationName says an application in the words of the files.
func ApplicationName(n uint32) string {
	if n == diameter.AppRelay {
		return wordRelay
	}
	return strings.ToLower(dict.AppName(n))
}

// CommandName is the short form of a request, or its code.
func CommandName(n uint32) string {
	if _, known := dict.FindCommand(n); !known {
		return strconv.FormatUint(uint64(n), 10)
	}
	return dict.CommandName(n, true)
}

func named[T, R any](list []T, f func(T) R) []R {
	out := make([]R, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}

// application and command read words of lists; text is empty if they are understood.
func application(s string) (n uint32, text, hint string) {
	if n, ok := Application(s); ok {
		return n, "", ""
	}
	words := named(dict.Apps(), func(a dict.App) string { return strings.ToLower(a.Name) })
	return 0, "is no application", nearestWord(s, words, "such as s6a, nasreq, eap, or a number")
}

func command(s string) (n uint32, text, hint string) {
	if n, ok := Command(s); ok {
		return n, "", ""
	}
	words := named(dict.Commands(), func(c dict.Command) string { return c.Short + "R" })
	return 0, "is no command of a request", nearestWord(s, words, "such as ULR, AAR, or a number")
}

func nearestWord(s string, words []string, otherwise string) string {
	if n := nearest(s, words); n != "" {
		return "did you mean " + n + "?"
	}
	return otherwise
}
