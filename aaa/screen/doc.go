// Package screen judges Diameter requests by who sends them, in the classes that are
// publicly listed of GSMA FS.19: 0, the sender is who it says; 1, the application and
// the command may cross an interconnection; 2, what only a home sends comes from the
// home of the subscriber; 3, what a visited network sends comes from the network that
// it names, in which the subscriber can be, and no more often than there is reason to.
// Classes 2 and 3 are those of S6a, of short messages (S6c, SGd) and of non-IP data
// (T6a and its like).
//
// In the packet walk it stands behind the rates of a peer and in front of everything
// that a request could change: repetitions, loops, routing and policy (aaa/agent). It
// says what is broken and what the mode of the rules makes of it; the agent counts,
// drops and answers.
//
// # Learning
//
// Two rules compare a request with what went before: previous and velocity. What they
// know of a subscriber they learn from an Update-Location-Request that its home has
// answered with success, so that nobody teaches them by asking. Of whom they know
// nothing they hold nothing against, and for the learning period after the start they
// only detect: a hub that has begun anew knows no roamer, and those that move first
// would be taken for attackers. What is learned is gone with the process, and comes
// again as devices move; learn bounds how long that may take. Nothing of it is kept on
// disk, where it would have to be protected who was where.
//
// Memory: a fixed table of the subscribers, 24 octets each, by a keyed hash of the
// IMSI; it is there only where a rule needs it. A set of it that is full gives up
// those that have only been counted before those whose place is known. Nothing of a
// message is kept, and nothing allocates once Apply has returned.
//
// Concurrency: a Screen belongs to one goroutine.
//
// RFC 6733 sections 6.1.9, 6.3, 6.7.1 and 13; TS 29.272 section 7; TS 29.338 sections
// 5.3 and 6.3; TS 29.128 section 6.2; TS 23.003 section 12.1 and 19.2. It looks into no
// answers and into no text of a message, and knows of no network where it is.
package screen
