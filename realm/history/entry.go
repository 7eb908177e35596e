package history

import (
	"encoding/hex"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/roamgate/roamgate/realm/file"
)

// Hash names a version: that of its routing files.
type Hash [32]byte

// String is the beginning of the hash, as logs and commands show it.
func (h Hash) String() string { return hex.EncodeToString(h[:shown]) }

// shown is how many octets of a hash people see.
const shown = 6

// Whole is the hash as it names the version in the directory.
func (h Hash) Whole() string { return hex.EncodeToString(h[:]) }

// MarshalText writes the whole hash.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.Whole()), nil }

var errHash = errors.New("it is no hash of a version")

// UnmarshalText reads a whole hash, or none.
func (h *Hash) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*h = Hash{}
		return nil
	}
	if len(b) != 2*len(h) {
		return errHash
	}
	if _, err := hex.Decode(h[:], b); err != nil {
		return errHash
	}
	return nil
}

// IsZero reports whether there is no version of this hash.
func (h Hash) IsZero() bool { return h == Hash{} }

// How says by what a version came into use.
type How string

// The set is closed.
const (
	Start       How = "start"           // the files were other ones when the hub began
	Auto        How = "auto"            // the files changed
	Applied     How = "apply"           // an operator took them into use
	RolledBack  How = "rollback"        // an operator went back
	Confirmed   How = "confirm"         // nothing changed: what was on trial stays
	Unconfirmed How = "confirm-timeout" // nobody confirmed in time
	Guarded     How = "guard"           // fewer requests were accepted
)

var hows = []How{Start, Auto, Applied, RolledBack, Confirmed, Unconfirmed, Guarded}

// back reports whether a version came into use by leaving another.
func (h How) back() bool { return h == RolledBack || h == Unconfirmed || h == Guarded }

// Entry says that a version came into use.
type Entry struct {
	Number  int       `json:"number"` // grows by one
	Time    time.Time `json:"time"`
	Hash    Hash      `json:"hash"`
	How     How       `json:"how"`
	Who     string    `json:"who,omitempty"`
	Comment string    `json:"comment,omitempty"`
	Change  string    `json:"change,omitempty"` // in numbers, against Left
	Left    Hash      `json:"left,omitzero"`    // what was in use before
	// Until is when the version is left again for Base unless it is confirmed.
	Until time.Time `json:"until,omitzero"`
	Base  Hash      `json:"base,omitzero"`
	Guard int       `json:"guard,omitempty"` // percent
	Why   string    `json:"why,omitempty"`   // of what the hub did by itself
}

// onTrial reports whether the version of an entry has to be confirmed.
func (e *Entry) onTrial() bool { return !e.Until.IsZero() && !e.Base.IsZero() }

const (
	maxWho     = 100
	maxComment = 1000
)

// clean bounds what people wrote and takes out what would upset a terminal.
func (e *Entry) clean() {
	e.Who, e.Comment = printable(e.Who, maxWho), printable(e.Comment, maxComment)
	e.Change, e.Why = printable(e.Change, maxComment), printable(e.Why, maxComment)
}

func printable(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// hashOf is the hash of files.
func hashOf(files file.Texts) Hash { return Hash(files.Hash()) }
