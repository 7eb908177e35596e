// Command month plays a month of accounting with faults that it knows, through
// the real code, and holds what comes out against the truth.
//
//	go run ./test/month -sessions 10000000 -seed 1
//
// It makes packets as NASes do, in the order of their arrival at two hubs:
// package accounting classifies them, names the events and stores records, the
// lines of those go in batches to the clearing store, whose usage records and
// sums are compared with what the generator kept. Every visited network has one
// fault, and its name: what that fault must come to (classes, exception codes,
// records, octets and seconds of each month) is known in full for each of its
// sessions, so a fault that is taken for another shows as a figure that is not
// what it should be.
//
// The store is the embedded one (-store embedded), or one in memory around the
// same rules (-store memory), which is faster and forgets a session two days
// after its end. Memory does not grow with the number of sessions: they are
// made when their time has come.
//
// Its test plays 20,000 sessions in memory and 1,000 in the embedded store, a
// tenth of that with the race detector; MONTH_SESSIONS sets another number.
package main
