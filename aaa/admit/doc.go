// Package admit keeps one client from taking the place of the others when a
// shard is asked for more than it can do.
//
// In the packet walk it stands behind the look-up of the client and before
// anything is verified: Share.Seen is asked for each packet, and what it
// sheds costs its reading and no more.
//
// Overload is a queue that stands: the sockets of the front doors have not
// been read empty for 20 ms. The kernel then drops from the tail, which takes
// from each client in proportion to what it sends and costs us nothing. That
// is fair enough while everybody sends too much, and to read packets only to
// drop them would cost work that gets done. It is not fair while few clients
// send far more than the others together: those few are then held to a limit
// for each interval of 10 ms, so that we read faster than they send and the
// queue ends.
//
//   - who is held: the queue stands and has stood for two intervals; each of
//     the few sends more than twice the level that max-min fairness would
//     give it in half of what was read (the kernel has trimmed the demand to
//     what we read, so half of that is what shows who is greedy); together
//     they are at most a quarter of the active clients, or the one of two or
//     three, and send most of what is read.
//   - how much they get: that level at first; a quarter less after each
//     interval at whose end the queue still stands, never less than an equal
//     share of what we can do; a quarter more after each at whose end it does
//     not, until the limit binds nobody and is gone. Conversations that have begun
//     and accounting may go to twice the limit (RFC 5080 section 2.2.3).
//   - nobody else is touched, and nobody below an equal share is ever shed.
//
// A Share belongs to one shard and is not safe for concurrent use. Its memory
// is a few octets for each client, made by Resize; nothing else allocates.
// Time is the caller's monotonic nanoseconds. The package looks into no
// packet, and does not know homes: what a home can take is home.Pace's.
package admit
