package migrate

import (
	"fmt"

	"github.com/roamgate/roamgate/realm"
)

// Refusal says that the original program would not start with this, and why.
type Refusal struct {
	Pos  realm.Pos
	Text string
}

// Refuse makes a Refusal. Its text never holds a secret.
func Refuse(pos realm.Pos, format string, args ...any) *Refusal {
	return &Refusal{pos, Printable(fmt.Sprintf(format, args...))}
}

func (r *Refusal) Error() string { return At(r.Pos) + ": " + r.Text }
