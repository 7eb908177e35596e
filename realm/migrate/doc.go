// Package migrate is what importers share: a Report that names every directive
// of the original and what became of it, and a Config, the readable
// configuration that is written instead. The packages below it each read the
// files of one program: radsecproxy, freeradius, freediameter, csv.
//
// An importer never guesses in silence. A directive is mapped, or it is left
// out with the reason; a decision that is not the original's is a Note. What
// the original would refuse is refused, with the original's file and line.
//
// Shared secrets go into files of their own, readable for their owner only,
// and into no YAML, no report and no message. Each written line can carry a
// comment that says which line of the original it comes from.
//
// Nothing here is used on the packet path. A Report and a Config belong to one
// goroutine. What a Config writes is plain YAML as realm/file reads it; whether
// it is a good configuration is for realm/file to say.
package migrate
