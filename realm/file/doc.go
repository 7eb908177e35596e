// Package file reads the operators' routing files: a directory of *.yaml and
// *.yml files that name clients, home servers, pools and realms. It turns them
// into one immutable realm.Set, says everything that is wrong with them at once
// with file:line:column, says what a new version changes, and watches the
// directory for the next version.
//
// It runs beside the packet walk and never in it: Load and Watcher work on
// their own goroutine and hand over a finished Set. A Set with any problem of
// severity Error is never handed over; the old one stays. A Set shares no
// memory with the files' content, and no message contains a secret, a path of
// a secret or an excerpt of a file.
//
// Files are read in name order, not recursively; hidden files and names that
// begin with '#' are skipped. All files form one name space: the order of
// files and entries does not matter to references. The accepted YAML is the
// plain part of it: mappings, lists and scalars in block or flow form. What
// makes files surprising or dangerous is refused with a hint: anchors, aliases,
// merge keys, tags, several documents. Scalars have the type that the key
// wants, so country: NO is Norway. configs/realms describes every key.
//
// A long list of realms is cut out of its file and read in pieces, several at
// once, so that a million of them take the memory of their routes and not of a
// tree. It makes no difference to what is said about the files. What runs at
// once shares only what is no longer written: the file, the homes, the pools.
//
// Routes of one subject are brought into one order by their ranks, never by the
// order of files, and what is ambiguous is an error. What no request can reach
// is named with what hides it; that follows the tiers of realm.Table, and a test
// asks the table.
//
// Peers are Diameter nodes and clients at once, pools have homes or peers, and a route
// says what becomes of the requests of either protocol. What no request of a protocol
// can reach, what goes nowhere and what goes round between the protocols is named too.
//
// Files of certificates, keys, authorities and revocation lists are named by the
// files under tls, and read and watched with them, as those of secrets are: one
// that is renewed is a new version, though the Hash of the Set is that of the
// routing files alone. Of them pkg/pki judges what they hold; who a peer over TLS
// may be, and what is reached over the internet without it, is judged here. No
// message shows the name of a key's file.
//
// Format gives a file its canonical form without a change of its meaning or its
// comments; Schema describes files to editors, from the structs that are read.
// Details says what a new version changes in an object, secrets never.
//
// Decode and Parse offer the same strict reading for any other file, such as
// the hub's main configuration.
//
// Realm names are NAI realms (RFC 7542 section 2.2); Operator-Name is RFC 5580
// section 4.1; timers are RFC 5080 section 2.2.1. The package resolves no
// names, opens no sockets and does not ask homes whether they live.
package file
