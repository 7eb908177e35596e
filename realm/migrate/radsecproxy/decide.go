package radsecproxy

import (
	"strings"

	"github.com/roamgate/roamgate/realm"
)

// Kind is what radsecproxy does with a request.
type Kind uint8

const (
	// Silence: nobody answers.
	Silence Kind = iota
	// Forward: it goes to the first server that is well.
	Forward
	// Reject: an Access-Reject with the realm's ReplyMessage.
	Reject
	// Answer: an Accounting-Response, and the record is gone.
	Answer
)

// String gives the word of reports.
func (k Kind) String() string { return [...]string{"silence", "forward", "reject", "answer"}[k] }

// Decision is where a request goes, and by which realm.
type Decision struct {
	Kind    Kind
	Servers []string // in the order of trial
	Message string   // of a Reject
	Realm   string   // "": none matched
	Pos     realm.Pos
	User    string // the User-Name that goes on
}

// Request is what radsecproxy looks at.
type Request struct {
	Client     string // name of a client block, "": one without rewrites
	UserName   []byte // nil: there is none
	Accounting bool
}

// Decide says what the original does with a request, all its servers being
// well and connected.
func (c *Config) Decide(q Request) Decision {
	var from *client
	for _, p := range c.clients {
		if q.Client != "" && p.name == q.Client {
			from = p
			break
		}
	}
	name := q.UserName
	if name == nil {
		if q.Accounting {
			return Decision{Kind: Answer}
		}
		return Decision{}
	}
	if from != nil {
		name = from.rename(name)
	}
	for _, r := range c.realms {
		if r.expr == nil || !r.expr.Match(name) {
			continue
		}
		d := Decision{Realm: r.name, Pos: r.pos, User: string(name)}
		servers := r.servers
		if q.Accounting {
			servers = r.acct
		}
		for _, s := range servers {
			d.Servers = append(d.Servers, s.name)
		}
		answers := r.get("accountingresponse")
		switch {
		case len(servers) > 0:
			d.Kind = Forward
		case !q.Accounting && r.get("replymessage") != nil:
			d.Kind, d.Message = Reject, r.text("replymessage")
		case q.Accounting && answers != nil && answers.on:
			d.Kind = Answer
		}
		return c.prevented(d, from)
	}
	return Decision{User: string(name)}
}

// rename does what the client's rewrites do to a User-Name before the realm is
// looked up.
func (p *client) rename(name []byte) []byte {
	if p.in != nil {
		for _, m := range p.in.modify {
			if m.vendor == 0 && m.number == 1 {
				name = m.apply(name)
			}
		}
	}
	if p.user != nil {
		name = p.user.apply(name)
	}
	return name
}

// prevented drops what would go back to a peer of the same name.
func (c *Config) prevented(d Decision, from *client) Decision {
	if d.Kind != Forward || from == nil {
		return d
	}
	for _, s := range c.servers {
		if !strings.EqualFold(s.name, d.Servers[0]) {
			continue
		}
		if s.name == from.name && c.preventsLoops(s) {
			d.Kind, d.Servers = Silence, nil
		}
		break
	}
	return d
}

func (c *Config) preventsLoops(s *server) bool {
	if o := s.get("loopprevention"); o != nil {
		return o.on
	}
	o := c.main.get("loopprevention")
	return o != nil && o.on
}

// Servers are the names of all servers, in their order.
func (c *Config) Servers() (names []string) {
	for _, s := range c.servers {
		names = append(names, s.name)
	}
	return names
}
