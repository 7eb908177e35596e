package diameter

// maxFailed bounds the value of what a Failed-AVP holds: of a longer AVP the header
// and the least of a value tell enough.
const maxFailed = 1024

// Answer is what an answer of our own says.
type Answer struct {
	Result uint32
	Vendor uint32 // not 0: Result is an Experimental-Result-Code of this vendor
	Host   string // Origin-Host: ours
	Realm  string // Origin-Realm
	Text   string // Error-Message, "" for none
	Failed []byte // the AVP at fault, as Message.Failed gives it
}

// Answer begins the answer to a request in room: Session-Id first, the result, who we
// are, Failed-AVP, and each Proxy-Info as it came, in its order (RFC 6733 sections
// 6.2, 7.2 and 7.5). Hop-by-Hop and End-to-End Identifier are the request's, which may
// be a broken one. More AVPs may be added before Finish.
//
// hot: 0 allocs
func (w *Writer) Answer(room []byte, m *Message, a *Answer) {
	h := m.Header
	h.Flags &= FlagProxiable
	if a.Vendor == 0 && a.Result/1000 == 3 {
		h.Flags |= FlagError
	}
	w.Begin(room, &h)
	if at, _ := m.Span(KnownSessionID); at != 0 {
		w.Bytes(SessionID, 0, AVPMandatory, m.Value(KnownSessionID))
	}
	if a.Vendor == 0 {
		w.Uint32(ResultCode, 0, AVPMandatory, a.Result)
	} else {
		g := w.Group(ExperimentalResult, 0, AVPMandatory)
		w.Uint32(VendorID, 0, AVPMandatory, a.Vendor)
		w.Uint32(ExperimentalResultCode, 0, AVPMandatory, a.Result)
		w.End(g)
	}
	w.String(OriginHost, 0, AVPMandatory, a.Host)
	w.String(OriginRealm, 0, AVPMandatory, a.Realm)
	if a.Text != "" {
		w.String(ErrorMessage, 0, 0, a.Text)
	}
	if a.Failed != nil {
		w.Failed(a.Failed)
	}
	if !m.Has(KnownProxyInfo) {
		return
	}
	var p AVP
	for c := Walk(m.Raw[HeaderLen:max(m.good, HeaderLen)]); c.Next(&p); {
		if p.Code == ProxyInfo && p.Vendor == 0 {
			w.Raw(p.Raw)
		}
	}
}

// Failed adds a Failed-AVP. Of an AVP whose length nobody can believe it holds the
// header, with the octets that are missing of it zero, and the least value that its
// type may have, zero as well; its length is that of what is sent, so that an answer
// about a bad AVP is no bad message (RFC 6733 sections 7.1.5 and 7.5).
//
// hot: 0 allocs
func (w *Writer) Failed(raw []byte) {
	g := w.Group(FailedAVP, 0, AVPMandatory)
	var a AVP
	if c := Walk(raw); c.Next(&a) && len(a.Data) <= maxFailed {
		w.Raw(a.Raw)
	} else {
		var head [12]byte
		copy(head[:], raw)
		a := AVP{Code: ReadAVPCode(head[:]), Flags: AVPFlags(head[4])}
		if a.Flags&AVPVendor != 0 {
			a.Vendor = ReadAVPCode(head[8:])
		}
		w.zero(&a, least(a.Code, a.Vendor))
	}
	w.End(g)
}

// zero adds an AVP with n octets of zero.
func (w *Writer) zero(a *AVP, n int) {
	head := 8
	if a.Flags&AVPVendor != 0 {
		head = 12
	}
	if b := w.open(a.Code, a.Vendor, a.Flags, head, n); b != nil {
		clear(b)
	}
}
