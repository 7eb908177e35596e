package main

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/clearing"
	"github.com/roamgate/roamgate/accounting/usage"
)

// recordQuery chooses usage records: as flags of a command, as the query of
// the administration port, and as the store's filter.
type recordQuery struct {
	realm, client, session, status, exception string
	device, user, cui                         string // keyed hashes
	since, until                              string // dates or times
	billable, unbillable                      bool
	after                                     uint64
	limit                                     int
}

func (q *recordQuery) flags(f *pflag.FlagSet) {
	f.StringVar(&q.realm, "realm", "", "of this home `realm`")
	f.StringVar(&q.client, "client", "", "of this visited network, by the client's `name`")
	f.StringVar(&q.session, "session", "", "with this Acct-Session-`Id`")
	f.StringVar(&q.device, "device", "", "of the device with this keyed `hash`")
	f.StringVar(&q.user, "user", "", "of the user with this keyed `hash`")
	f.StringVar(&q.cui, "cui", "", "of the chargeable user with this keyed `hash`")
	f.StringVar(&q.status, "status", "", "with this `status`: final, partial, estimated or correction")
	f.StringVar(&q.exception, "exception", "", "with this exception `code`")
	f.StringVar(&q.since, "since", "", "that ended at or after this `time`, as 2026-10-01 or 2026-10-01T15:00:00Z")
	f.StringVar(&q.until, "until", "", "that ended before this `time`")
	f.BoolVar(&q.billable, "billable", false, "only those that may be billed")
	f.BoolVar(&q.unbillable, "unbillable", false, "only those that may not")
}

// values is the query as the administration port takes it.
func (q *recordQuery) values() url.Values {
	v := url.Values{}
	for name, text := range map[string]string{
		"realm": q.realm, "client": q.client, "session": q.session, "device": q.device, "user": q.user, "cui": q.cui,
		"status": q.status, "exception": q.exception, "since": q.since, "until": q.until,
	} {
		if text != "" {
			v.Set(name, text)
		}
	}
	if q.billable {
		v.Set("billable", "true")
	}
	if q.unbillable {
		v.Set("billable", "false")
	}
	v.Set("after", strconv.FormatUint(q.after, 10))
	v.Set("limit", strconv.Itoa(q.limit))
	return v
}

// queryOf reads what values wrote.
func queryOf(v url.Values) (q recordQuery, err error) {
	q = recordQuery{
		realm: v.Get("realm"), client: v.Get("client"), session: v.Get("session"), device: v.Get("device"),
		user: v.Get("user"), cui: v.Get("cui"), status: v.Get("status"), exception: v.Get("exception"),
		since: v.Get("since"), until: v.Get("until"), limit: maxRecords,
	}
	switch v.Get("billable") {
	case "":
	case "true":
		q.billable = true
	case "false":
		q.unbillable = true
	default:
		return q, fmt.Errorf("billable: neither true nor false")
	}
	if t := v.Get("after"); t != "" {
		if q.after, err = strconv.ParseUint(t, 10, 64); err != nil {
			return q, fmt.Errorf("after: not a number")
		}
	}
	if t := v.Get("limit"); t != "" {
		n, err := strconv.Atoi(t)
		if err != nil || n < 1 {
			return q, fmt.Errorf("limit: not a number of records")
		}
		q.limit = min(n, maxRecords)
	}
	return q, nil
}

// filter is the query as the store takes it; it names the word that is wrong.
func (q *recordQuery) filter() (f clearing.Filter, err error) {
	f = clearing.Filter{After: q.after, Limit: q.limit, Home: q.realm, Client: q.client, SessionID: q.session,
		Exception: usage.Exception(q.exception)}
	switch s := usage.Status(q.status); s {
	case "", usage.Final, usage.Partial, usage.Estimated, usage.Correction:
		f.Status = s
	default:
		return f, fmt.Errorf("status %q is none of final, partial, estimated, correction", q.status)
	}
	for _, h := range []struct {
		name, text string
		key        *accounting.Key
	}{{"device", q.device, &f.Device}, {"user", q.user, &f.User}, {"cui", q.cui, &f.CUI}} {
		if h.text == "" {
			continue
		}
		if err := h.key.UnmarshalText([]byte(h.text)); err != nil {
			return f, fmt.Errorf("%s: %w (records show it)", h.name, err)
		}
	}
	if f.From, err = moment("since", q.since); err != nil {
		return f, err
	}
	if f.To, err = moment("until", q.until); err != nil {
		return f, err
	}
	switch {
	case q.billable && q.unbillable:
		return f, fmt.Errorf("billable and unbillable exclude each other")
	case q.billable, q.unbillable:
		f.Billable = &q.billable
	}
	return f, nil
}

// moment reads a day, whose beginning in UTC is meant, or a time.
func moment(name, text string) (t time.Time, err error) {
	if text == "" {
		return t, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err = time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return t, fmt.Errorf("%s: %q is no time such as 2026-10-01 or 2026-10-01T15:00:00Z", name, text)
}
