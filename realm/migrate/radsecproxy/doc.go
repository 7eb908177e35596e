// Package radsecproxy reads radsecproxy.conf as radsecproxy itself reads it,
// says where that program would send a request (Decide), and writes the
// configuration of a hub that does the same (Import).
//
// The judge is radsecproxy 1.9.2; options of later releases up to 1.11 are
// known too. What the original refuses at its start is refused with file and
// line (migrate.Refusal); what it silently leaves out, a realm with an unknown
// server for one, is left out and named in the report.
//
// The first realm of the file that matches counts there, and here the tiers of
// package realm. Where both could differ, a name that an expression in front of
// it matches too, the realm is written as an expression with its rank, so that
// the decision stays. Where the hub decides otherwise on purpose, the report
// has a note with its rule; the rules are the Rule constants.
//
// A file is hostile: lines, includes and expressions are bounded. Secrets go
// only where migrate.Config keeps them. Nothing here is used on the packet
// path; a Config is read only once parsed and may then be shared.
package radsecproxy
