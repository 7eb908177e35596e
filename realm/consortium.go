package realm

// Consortium is whose rules the peers of a group follow, beyond those of RADIUS.
type Consortium uint8

const (
	NoConsortium Consortium = iota
	// OpenRoaming is the federation of the Wireless Broadband Alliance. Its
	// peers say by the roaming consortium that the device has chosen whether a
	// session is paid, name clearing providers and a rate where it is, and are
	// told why a request was rejected.
	OpenRoaming
)

// String gives the word of the routing files, "" for none.
func (c Consortium) String() string {
	return [...]string{NoConsortium: "", OpenRoaming: "openroaming"}[c]
}

// Terms are what has been agreed with the peers of a consortium's group.
type Terms struct {
	// Settled: a request that names no roaming consortium of it is paid.
	Settled bool
	// Downgrade lets a settled request that a home has accepted without a
	// clearing provider, or without a rate where there is no Tariff, go on
	// without being paid. Else it is rejected.
	Downgrade bool
	// Tariff is the one that was agreed beforehand, "": none was, and whoever
	// wants to be paid must offer a rate.
	Tariff string
}

// In reports whether the group follows the rules of a consortium. The nil Group
// follows none.
//
// hot: 0 allocs
func (g *Group) In(c Consortium) bool { return g != nil && g.Consortium == c }
