// Package fticks writes F-Ticks: one line of text for each device that a home
// has let in or turned away, which federations such as eduroam count. The line
// is radsecproxy's, octet for octet, in all its modes.
//
// In the packet walk it stands behind the answer: a shard hands over what the
// line is made from (Ticker.Tick, which never waits and allocates nothing), and
// one goroutine (Run) hashes, writes and, while the target is away, drops and
// counts. A Tick borrows its octets for the time of the call.
//
// The line is built of fields between '#'. What comes from devices can forge
// none: a '#' in a value is written %23, and every octet that is not printable
// ASCII as %XX. That is the one difference to radsecproxy, which writes a '#' as
// it is. A value that is too long for radsecproxy's buffers is cut, never run
// over.
//
// There is no RFC of F-Ticks; RFC 7593 section 6 speaks of what they are for.
// The syslog form is RFC 3164, as the C library writes it. A line is a personal
// matter as far as its mode says: with mac: original it names the device.
//
// Tick is safe for concurrent use; Run has one caller.
package fticks
