// Package freeradius reads the configuration of FreeRADIUS 3.2, says what that
// program does with a request, and writes a configuration of ours that does the
// same: the way over for who runs it as a proxy today.
//
// It has three parts. Read parses radiusd.conf and all it includes as the
// program does itself: sections, pairs, quotes, continued lines, $INCLUDE,
// ${references}, templates; policy (unlang) is read over and kept as it stands.
// Understand makes a Model of it: clients, home servers, pools, realms, and the
// realm modules that the virtual servers call, with the program's compiled
// defaults where nothing is written and its own refusals. Decide asks the Model
// where a request goes, and Import writes the Model down for roamgate, with a
// migrate.Report of every directive.
//
// What is not understood is not guessed: policy that could choose another home
// is reported with its line. Local authentication has no place in a hub; a
// realm that the program answers by itself is refused here and said so.
//
// Nothing here is on the packet path. A Tree and a Model are not changed after
// they are made and may be read by several goroutines. Files are hostile: their
// number, size, nesting and copies are bounded, and errors never show a value,
// which may be a secret. Realm syntax is that of RFC 2865 section 5.1 and RFC
// 7542; nothing is resolved in the DNS.
package freeradius
