// Package freediameter reads freeDiameter.conf with the rules of rt_default and the
// names of acl_wl, as freeDiameter 1.2.1 reads them, and writes the configuration of a
// hub in its place (Import).
//
// What freeDiameter would refuse is refused with file and line (migrate.Refusal). It
// routes by scores: every connected peer has one for each request, and the highest is
// tried first. The scores of all peers are computed here for each realm that the files
// know, for each expression and for all other realms, and become pools of peers with
// priorities. A rule whose criterion the hub has no like for is left out and named in
// the report; the Rule constants are what the hub decides otherwise.
//
// A file is hostile: its size, the depth of includes and the number of directives are
// bounded. Nothing here is used on the packet path; a Config is read only once parsed.
// Certificates and keys are named, not read.
package freediameter
