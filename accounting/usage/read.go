package usage

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/roamgate/roamgate/accounting"
)

// ErrRecord: the octets are no usage record.
var ErrRecord = errors.New("usage record")

// ReadRecord reads a record that a Writer of JSON lines wrote, of this schema
// or an earlier one. Fields that this program does not know were added later
// and are left out; a newer schema is ErrNewer.
func ReadRecord(line []byte) (*Record, error) {
	if len(line) > MaxLine {
		return nil, fmt.Errorf("%w: %d octets in a line, more than %d", ErrRecord, len(line), MaxLine)
	}
	var head struct {
		Schema int `json:"schema"`
	}
	// What else is in the line of a newer schema may not even fit the types.
	err := json.Unmarshal(line, &head)
	switch {
	case head.Schema > SchemaVersion:
		return nil, fmt.Errorf("%w: schema %d of a usage record, this one reads %d", ErrNewer, head.Schema, SchemaVersion)
	case err != nil:
		return nil, fmt.Errorf("%w: %s", ErrRecord, why(err))
	case head.Schema < 1:
		return nil, fmt.Errorf("%w: schema %d", ErrRecord, head.Schema)
	}
	r := new(Record)
	if err := json.Unmarshal(line, r); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrRecord, why(err))
	}
	switch {
	case r.ID == accounting.Key{} || r.Session == accounting.Key{}:
		return nil, fmt.Errorf("%w: it has no id or no session", ErrRecord)
	case !r.Status.valid():
		return nil, fmt.Errorf("%w: a status that schema %d does not have", ErrRecord, r.Schema)
	case r.Start.IsZero() || r.End.IsZero():
		return nil, fmt.Errorf("%w: it has no start or no end", ErrRecord)
	}
	return r, nil
}

func (s Status) valid() bool {
	switch s {
	case Final, Partial, Estimated, Correction:
		return true
	}
	return false
}

// why says where a line is wrong without what is in it.
func why(err error) string {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind):
		return "the field " + kind.Field + " is of another type"
	case errors.As(err, &syntax):
		return fmt.Sprintf("no JSON at octet %d", syntax.Offset)
	}
	return "a value does not have the form of its field"
}
