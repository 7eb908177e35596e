package play

import "maps"

// HomeCounts is everything a Home has seen and done.
type HomeCounts struct {
	Requests   PerKind `json:"requests"`   // well-formed and authentic, repeated ones too
	Unique     PerKind `json:"unique"`     // by source, identifier and authenticator
	Duplicates PerKind `json:"duplicates"` // Requests - Unique
	Answered   PerKind `json:"answered"`   // good answers sent or held
	Dropped    PerKind `json:"dropped"`    // left unanswered by the script
	// Accepts, Rejects and Challenges count unique requests once answered.
	Accepts    uint64 `json:"accepts"`
	Rejects    uint64 `json:"rejects"`
	Challenges uint64 `json:"challenges"`
	BadAnswers uint64 `json:"bad_answers"` // sent by the script
	Flaws      Flaws  `json:"flaws"`
	// NAI counts unique Access-Requests by User-Name, Events unique
	// accounting requests by EventKey; both only with HomeConfig.Track.
	NAI    map[string]uint64 `json:"nai,omitempty"`
	Events map[string]uint64 `json:"events,omitempty"`
}

// EventKey names an accounting event: what must reach a home once however
// often and by whichever way its packets were sent.
func EventKey(k Kind, session string) string { return k.String() + " " + session }

func (c *HomeCounts) add(o *HomeCounts) {
	c.Requests.add(&o.Requests)
	c.Unique.add(&o.Unique)
	c.Duplicates.add(&o.Duplicates)
	c.Answered.add(&o.Answered)
	c.Dropped.add(&o.Dropped)
	c.Accepts += o.Accepts
	c.Rejects += o.Rejects
	c.Challenges += o.Challenges
	c.BadAnswers += o.BadAnswers
	c.Flaws.add(&o.Flaws)
	addCounts(&c.NAI, o.NAI)
	addCounts(&c.Events, o.Events)
}

// clone gives a copy that shares nothing.
func (c *HomeCounts) clone() HomeCounts {
	out := *c
	out.NAI, out.Events = maps.Clone(c.NAI), maps.Clone(c.Events)
	return out
}
