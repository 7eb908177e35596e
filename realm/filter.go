package realm

// Filter is what becomes of the attributes of packets in one direction: rules
// that are applied in their order.
type Filter struct {
	Name string
	Pos  Pos
}

// Rewrite is what becomes of a User-Name toward the home. It is undone in the
// reply, and nothing of it is seen by the client.
type Rewrite struct {
	Realm string // takes the place of the realm, "": it stays
	Strip bool   // only the user is sent on
}
