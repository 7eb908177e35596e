package diameter

// behind is where the causes of RADIUS follow those of Diameter (RFC 7155 section
// 4.4.7).
const behind, radiusCauses = 10, 22

// TerminationCause gives the Termination-Cause of an Acct-Terminate-Cause (RFC 2866
// section 5.10, RFC 3580 section 2.3), 0: it has none.
func TerminationCause(radius uint32) uint32 {
	if radius == 0 || radius > radiusCauses {
		return 0
	}
	return radius + behind
}

// TerminateCause is the inverse. Those of Diameter alone (RFC 6733 section 8.15) become
// what is nearest, 0: nothing is.
func TerminateCause(cause uint32) uint32 {
	if cause > behind && cause <= behind+radiusCauses {
		return cause - behind
	}
	nearest := [...]uint32{
		1: 1,  // LOGOUT: User Request
		2: 15, // SERVICE_NOT_PROVIDED: Service Unavailable
		3: 17, // BAD_ANSWER: User Error
		4: 6,  // ADMINISTRATIVE: Admin Reset
		5: 2,  // LINK_BROKEN: Lost Carrier
		6: 5,  // AUTH_EXPIRED, the time that was authorized is over: Session Timeout
		7: 3,  // USER_MOVED, another device serves it: Lost Service
		8: 5,  // SESSION_TIMEOUT
	}
	if uint64(cause) < uint64(len(nearest)) {
		return nearest[cause]
	}
	return 0
}
