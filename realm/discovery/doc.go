// Package discovery finds the peers of a realm by DNS (RFC 7585).
//
// It stands beside the packet walk. A Resolver goes from a realm to addresses:
// the NAPTR records of the realm with a service tag of the profile (S-NAPTR,
// RFC 3958), the SRV records that they name, and the addresses of the hosts of
// those; where the profile says so, _radiustls._tcp where there is no such
// NAPTR. It does so within three seconds in total. A Table keeps what was found
// for event loops: they look a realm up in it without a lock, and are called
// when one that was not there has been looked up in the background.
//
// What was found holds for the least TTL of all records that led to it, one
// minute at least; that there is nothing holds for ten minutes, and for ten
// seconds where no server could be asked. A peer that is in use is looked up
// again before its time is over.
//
// Realms come from strangers' devices and zones are the strangers' own. A name
// is asked for only if it is one of letters, digits and hyphens, in A-labels;
// what a record says is used only if it is such a name, a port that the profile
// allows and an address that a host on the Internet can have. Questions, records,
// depth, targets, entries and waiting requests are bounded, for one client and
// for all; whoever comes too much is told at once. An address of our own listener
// among the targets says that we serve the realm ourselves, and that no peer is
// to be asked (section 3.4.3 step 19).
//
// Names and addresses that are told to people are quoted where they come from a
// zone. A Resolver is safe for concurrent use, and so is a Table.
//
// Sections: RFC 7585 section 2.1.1 and 3; RFC 3958 section 2.2; RFC 2782; RFC
// 5891 section 5. What it does not do: judge certificates, connect, or follow
// what the consortium of the realm means by a peer; DNSSEC is the resolver's.
package discovery
