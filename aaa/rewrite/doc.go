// Package rewrite changes the attributes of a packet on its way through the
// hub: the attribute firewall between networks. A realm.Filter is compiled once
// into a Program, which is applied to packets of one direction of one peer.
//
// In the packet walk it stands between what was received and what is written
// for the next hop by pkg/radius: a Draft is made of the verified packet,
// Programs and the hub's own changes are applied to it, and the result is read
// as a radius.Packet again.
//
// Memory: a Draft writes into a buffer of its caller and retains it until the
// next Start. A Program is immutable and safe for concurrent use.
//
// RFC 2865 section 5 (order among attributes of one type is kept), RFC 2868
// section 3.1 (tags), RFC 5580 (location), RFC 6929 (extended attributes,
// unknown ones stay verbatim). It reads no files, counts nothing and knows
// neither homes nor clients but by the Vars it is given.
package rewrite
