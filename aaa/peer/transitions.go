package peer

// On takes an event. What a state has no row for is ignored.
//
// hot: 0 allocs
func (m *Machine) On(e Event, now int64) Actions {
	switch m.state {
	case Closed:
		return m.onClosed(e, now)
	case WaitConnAck:
		return m.onWaitConnAck(e, now)
	case WaitICEA:
		return m.onWaitICEA(e, now)
	case WaitConnAckElect:
		return m.onWaitConnAckElect(e, now)
	case WaitReturns:
		return m.onWaitReturns(e, now)
	case ROpen, IOpen:
		return m.onOpen(e, now)
	}
	return m.onClosing(e, now)
}

// wait is a state that must not last.
func (m *Machine) wait(s State, now int64) {
	m.state, m.timeout = s, now+int64(m.conf.Handshake)
}

func (m *Machine) onClosed(e Event, now int64) Actions {
	switch e {
	case Start:
		m.wait(WaitConnAck, now)
		return Connect
	case ConnCER:
		return Accept | SendCEA | m.open(ROpen, now)
	}
	return 0
}

func (m *Machine) onWaitConnAck(e Event, now int64) Actions {
	switch e {
	case ConnAck:
		m.wait(WaitICEA, now)
		return SendCER
	case ConnNack:
		m.fail(now)
	case ConnCER:
		m.state = WaitConnAckElect
		return Accept
	case Stop:
		m.fail(now)
		return IDisc
	}
	return 0
}

func (m *Machine) onWaitICEA(e Event, now int64) Actions {
	switch e {
	case RcvCEA:
		return m.open(IOpen, now)
	case ConnCER:
		m.state = WaitReturns
		return Accept | Elect
	case IPeerDisc, RcvNonCEA, Stop:
		m.fail(now)
		return IDisc
	}
	return 0
}

func (m *Machine) onWaitConnAckElect(e Event, now int64) Actions {
	switch e {
	case ConnAck:
		m.wait(WaitReturns, now)
		return SendCER | Elect
	case ConnNack:
		return SendCEA | m.open(ROpen, now)
	case RPeerDisc:
		m.state = WaitConnAck
		return RDisc
	case ConnCER:
		return Reject
	case Stop:
		m.fail(now)
		return IDisc | RDisc
	}
	return 0
}

func (m *Machine) onWaitReturns(e Event, now int64) Actions {
	switch e {
	case WinElection, IPeerDisc, RcvNonCEA:
		return IDisc | SendCEA | m.open(ROpen, now)
	case RcvCEA:
		return RDisc | m.open(IOpen, now)
	case RPeerDisc:
		m.state = WaitICEA
		return RDisc
	case ConnCER:
		return Reject
	case Stop:
		m.fail(now)
		return IDisc | RDisc
	}
	return 0
}

func (m *Machine) onOpen(e Event, now int64) Actions {
	switch e {
	case RcvDWR:
		return SendDWA | m.heard(false, now)
	case RcvDWA:
		return m.heard(true, now)
	case RcvMessage:
		return Process | m.heard(false, now)
	case ConnCER:
		return Reject
	case Stop:
		m.leave(now)
		m.patience = 1
		return SendDPR
	case IPeerDisc, RPeerDisc:
		do := m.disc()
		m.watch = Down
		m.quiet()
		m.close(now)
		return do | Failover
	}
	return 0
}

// leave begins the end of a connection in good order: nothing has failed.
func (m *Machine) leave(now int64) {
	m.initiate = m.state == IOpen
	m.state, m.timeout = Closing, now+int64(m.conf.Farewell)
	m.watch = Initial
	m.quiet()
}

// Disconnect is the event RcvDPR.
func (m *Machine) Disconnect(c Cause, now int64) Actions {
	if !m.state.Open() {
		return m.On(RcvDPR, now)
	}
	m.leave(now)
	switch c {
	case Rebooting:
		m.patience = 1
	case Busy:
		m.patience = busyPatience
	default:
		m.patience = unwantPatience
	}
	return SendDPA
}

func (m *Machine) onClosing(e Event, now int64) Actions {
	switch e {
	case RcvDPA, IPeerDisc, RPeerDisc:
		do := m.disc()
		m.close(now)
		return do
	case RcvDPR: // both at the same time
		return SendDPA
	case RcvDWR:
		return SendDWA
	case RcvMessage:
		return Process
	case ConnCER:
		return Reject
	}
	return 0
}
