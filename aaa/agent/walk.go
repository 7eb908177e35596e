package agent

// walk is what the packet walk keeps in the loop.
type walk struct{}

// nodeWalk is what it keeps of a node.
type nodeWalk struct{}

// heard takes a message that is not the peer machine's. raw is lent until it returns.
func (lp *loop) heard(l *link, raw []byte) {}

// lost is that a link can be used no more: its requests go elsewhere. It may be called
// again for one that was closed after that.
func (lp *loop) lost(l *link) {}

// opened is that requests may be sent by a link.
func (lp *loop) opened(l *link) {}

// tick is called once a round, after all that came was taken.
func (lp *loop) tick() {}

// adopted is that lp.snap is a newer configuration.
func (lp *loop) adopted() {}

// expired is a timer of lp.wheel.
func (lp *loop) expired(slot uint32) {}
