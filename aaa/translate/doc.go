// Package translate turns packets of RADIUS into messages of Diameter and back.
//
// It stands between the two walks of the hub: a request that one of them has routed
// to the other is written anew here, and so is its answer. The rules are those of RFC
// 4005 section 9 and RFC 4072 section 6, which RFC 7155 has taken away without giving
// others; where they cannot be kept, or would lose what is billed, the package says
// what it does instead.
//
// The side of RADIUS is RADIUS/1.1 (radius.Clear): nothing is hidden and nothing is
// signed there, as the walk of RADIUS does both toward its own peers.
//
//	Access-Request       AAR; with EAP-Message DER; of STa and SWm with what they add
//	Accounting-Request   ACR; its record number is the same when it is sent again
//	CoA, Disconnect      RAR, ASR, and back
//	their answers        likewise, by the tables in result.go
//
// Attributes below 256 are AVPs of the same code, vendors' are AVPs of the vendor, and
// what has another form there (counters, causes, times, tunnels, CHAP, EAP, keys) is
// taken out of the one and put into the other.
//
// A Session-Id of ours is `identity;high;low`. Its two numbers and a tag that only we
// can make are the handle, sixteen octets that stand in State and Class: no text of a
// Session-Id has to fit there, and nothing is to be remembered for it (see Sessions).
//
// Memory: a Translator is scratch space. What it is given is borrowed for a call, what
// it gives lies in the room of the caller. Nothing here allocates after the first use.
//
// Concurrency: a Translator belongs to one goroutine.
//
// It knows no peers, no routes and no clock, remembers nothing, and logs nothing: keys
// of EAP pass through it.
package translate
