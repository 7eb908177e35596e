// Package traffic remembers a part of what has been asked in the last hour, so
// that routing files can be held against it before they are in use: how many
// requests and devices would go elsewhere.
//
// In the packet walk it stands behind the decision where a request goes, at
// the beginning of a conversation and at each accounting request. It keeps the
// attributes that routing looks at and the address they came from, so that
// another configuration can be asked the same question.
//
// A Table has fixed memory and belongs to one shard. It samples devices: one
// is kept with all that it asks or not at all, chosen by a keyed hash, so
// nobody can choose to be in it or to keep others out. When the Table is full
// every second device is left out, and the others count twice; when most of it
// is empty at a new slot, it takes more again. Time is cut into slots of ten
// minutes, of which the last six are kept. All Tables of a hub share a key, so
// a device is in all of them or in none.
//
// What is kept is personal data. It stays in memory, is neither logged nor
// exported, and goes with its hour; only numbers leave the hub. The key dies
// with the process.
//
// Note allocates nothing. Copy makes a Sample that belongs to its caller; a
// Sample is read by one goroutine. The package reads no clock and routes
// nothing.
package traffic
