// Package udp moves RADIUS datagrams in batches between the kernel and one
// event loop. It is the first and the last step of the packet walk: Poller
// says which sockets have something, Conn.Recv fills a Batch, and a Queue
// sends the answers of the whole batch at once (RFC 2865 §3, RFC 2866 §3).
//
// On Linux this is raw non-blocking sockets, recvmmsg, sendmmsg, epoll and an
// eventfd; elsewhere, and by ListenPortable everywhere, a net.UDPConn with one
// reader goroutine. Both behave the same except where a method says so.
//
// Memory: a Batch owns the octets, addresses and kernel headers it was made
// with and lends them until the next Recv; a Queue owns its buffers and lends
// one from Next to Commit. Nothing allocates after construction.
//
// Concurrency: Conn, Batch, Queue and Poller belong to one goroutine. Only
// Poller.Wake, Poller.Post and the counters (Drops, RecvErrors, Sent, Errors, QueueRatio)
// may be called from others.
//
// The Poller watches the connections of pkg/stream too.
//
// It does not read packets, know clients or homes, retransmit, or keep order
// within a batch. It is the only package of the house that may use unsafe.
package udp
