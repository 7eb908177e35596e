// Package hide keeps the names of nodes from those that need not know them (topology
// hiding of Diameter): what goes to a peer that is kept from them has pseudonyms, and
// what comes back has the names again.
//
// In the packet walk it stands at both ends of a link with a peer that has
// hide_topology: behind it as soon as a message is framed, in front of it when all else
// is written (aaa/agent).
//
// # What is hidden
//
// The names of nodes inside: those below the realm, or an origin, of a peer that nothing
// is hidden from, and such a peer's own name. They stand in Origin-Host, Route-Record,
// Session-Id, Proxy-Host, Error-Reporting-Host, Redirect-Host, SourceID and, on the way
// back, Destination-Host; in a Failed-AVP each of them may stand, with what was in
// plain here and came from outside as a pseudonym. Who follows a redirection to a
// pseudonym asks the hub for it.
//
// Applications of 3GPP tell nodes the names of others, to be sent requests: MME-Name,
// SGSN-Name, 3GPP-AAA-Server-Name and the SMSF's in what serves a subscriber, IP-SM-GW-Name,
// Coupled-Node-Diameter-ID and SCEF-ID, also deep in Subscription-Data and in what is
// monitored. They are hidden alike, so that the Destination-Host which is made of them
// finds its node.
//
// The hub's own name is never hidden, so that a request that comes round in a circle is
// still known by it, and all others are restored before loops are looked for.
//
// What stays: realms, which route; numbers of nodes (SGSN-Number, MME-Number-for-MT-SMS,
// SC-Address), which route too, and addresses; Visited-PLMN-Id and
// Visited-Network-Identifier, which name a network; the name of a packet gateway in
// MIP6-Agent-Info, which is looked up in DNS and is no Diameter node; names in User-Name,
// in Error-Message and other texts, and in AVPs of vendors other than 3GPP.
//
// # Pseudonyms
//
//	mme1.site7.epc.mnc001.mcc262.3gppnetwork.org   becomes
//	t2s0u3m5qk....epc.mnc001.mcc262.3gppnetwork.org
//
// A pseudonym is the name in front of the realm, encrypted under the key alone (a
// synthetic initialisation vector, RFC 5297's idea, with AES-128): every hub with the key
// makes the same of a name, and has the name again without having met it before. So a
// session that the other side begins reaches its node, through any hub and after a
// restart. Eight octets prove that it is ours; what does not prove it is left alone.
// Who sees pseudonyms learns how long names are and which are the same.
//
// Memory and concurrency: a Hider belongs to one goroutine; nothing allocates.
//
// RFC 6733 sections 6.1.9, 6.2, 6.3, 6.7, 6.12, 7.5 and 8.8. It hides no number of nodes.
package hide
