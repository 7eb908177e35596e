// Package csv makes routes of a spreadsheet: a row for each realm, range of
// IMSIs or mobile network, with the pools that take it.
//
// It reads what spreadsheets write: RFC 4180, separated by commas, semicolons
// or tabs, with or without a byte order mark, fields in quotes or not, blanks
// around them. The first row names the columns (see Columns). What a
// spreadsheet does to numbers, such as 2.62E+14 or a network code without its
// zero, is refused and said so; nothing is repaired by guessing.
//
// Every mistake is named by file, line and column, all of them at once up to a
// bound. The result is a routing file of realms, one entry for each row, with
// the row's line behind it. The pools stand in other files, and roamgate check
// says whether they do; or a row names the host of its home and what carries
// the packets there, and the home and its pool are written too, once for all
// rows that name the same.
//
// The package does no I/O but reading what it is given, keeps no state and is
// not on the packet path. A file is hostile: rows, fields and errors are
// bounded. Identities are those of RFC 7542 and 3GPP TS 23.003.
package csv
