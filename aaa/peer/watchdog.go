package peer

// setWatchdog is SetWatchdog of RFC 3539: Tw and up to two seconds of jitter.
func (m *Machine) setWatchdog(now int64) {
	m.watchdog = now + int64(m.conf.Watchdog) - watchJitter + m.random(2*watchJitter+1)
}

// quiet stops the watchdog.
func (m *Machine) quiet() { m.watchdog, m.pending, m.answered = 0, false, 0 }

// up is that a connection stands. Who was lost before has to answer three times
// before requests are sent to it.
func (m *Machine) up(now int64) Actions {
	m.setWatchdog(now)
	if m.watch == Down {
		m.watch, m.answered, m.pending = Reopen, 0, true
		return SendDWR
	}
	m.watch, m.pending = Okay, false
	return Failback
}

// heard is that a message came, a DWA or another.
func (m *Machine) heard(dwa bool, now int64) Actions {
	if m.watch == Reopen {
		return m.proves(dwa, now)
	}
	if dwa {
		m.pending = false
	}
	m.setWatchdog(now)
	if m.watch == Suspect {
		m.watch = Okay
		return Failback
	}
	return 0
}

// needed are the DWAs that end REOPEN.
const needed = 3

// proves counts the DWAs of REOPEN. Other messages prove nothing; they are served all
// the same, which RFC 3539 leaves to an agent's mercy: who sent a request waits for its
// answer, and would ask nobody else before it has waited in vain.
func (m *Machine) proves(dwa bool, now int64) Actions {
	if !dwa || !m.pending {
		return 0
	}
	m.pending = false
	if m.answered++; m.answered < needed {
		return 0
	}
	m.watch = Okay
	m.setWatchdog(now)
	return Failback
}

// bark is what the watchdog does when it expires.
func (m *Machine) bark(now int64) Actions {
	m.setWatchdog(now)
	switch {
	case m.watch == Okay && !m.pending, m.watch == Reopen && !m.pending:
		m.pending = true
		return SendDWR
	case m.watch == Okay:
		m.watch = Suspect
		return Failover
	case m.watch == Reopen && m.answered >= 0:
		m.answered = -1
		return 0
	case m.watch == Suspect, m.watch == Reopen:
		do := m.disc()
		m.watch = Down
		m.quiet()
		m.close(now)
		return do | Failover
	}
	return 0
}
