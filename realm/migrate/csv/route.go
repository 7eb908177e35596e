package csv

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/migrate"
)

// Columns are the names that the first row may have, in any order and in small
// or capital letters.
const Columns = "realm, imsi, imsi_from, imsi_to, plmn, mcc, mnc, pool, auth, accounting, acknowledge, reject, host, port, transport, tls, secret_file, name, comment"

var columns = strings.Split(Columns, ", ")

// aliases are what people call columns, too.
var aliases = map[string]string{
	"nai": "realm", "domain": "realm", "imsi_range": "imsi", "imsi_prefix": "imsi", "imsi_start": "imsi_from", "imsi_end": "imsi_to",
	"mccmnc": "plmn", "mcc_mnc": "plmn", "authentication": "auth", "auth_pool": "auth", "acct": "accounting", "acct_pool": "accounting",
	"home": "host", "server": "host", "address": "host", "protocol": "transport", "secret": "secret_file",
	"note": "comment", "notes": "comment", "remark": "comment",
}

// header reads the names of the columns.
func (r *reader) header(fields []string) bool {
	r.columns = make([]string, len(fields))
	for i, f := range fields {
		if f == "" {
			continue
		}
		name := strings.NewReplacer(" ", "_", "-", "_", "/", "_").Replace(strings.ToLower(f))
		if a := aliases[name]; a != "" {
			name = a
		}
		switch {
		case !known(name):
			r.fail(r.at(i), "known are "+Columns, "there is no column %q", migrate.Printable(f))
		case r.has[name]:
			r.fail(r.at(i), "", "the column %s is there twice", name)
		}
		r.columns[i], r.has[name] = name, true
	}
	start := realm.Pos{File: r.file, Line: r.at(0).Line, Col: 1}
	any := func(names ...string) bool {
		for _, n := range names {
			if r.has[n] {
				return true
			}
		}
		return false
	}
	switch {
	case len(r.errs) > 0:
	case !any("realm", "imsi", "imsi_from", "plmn", "mcc"):
		r.fail(start, "known are "+Columns, "no column says what is routed: realm, imsi or plmn")
	case !any("pool", "auth", "accounting", "reject", "host"):
		r.fail(start, "known are "+Columns, "no column says where it goes: pool, auth, accounting, reject or host")
	case r.has["imsi_from"] != r.has["imsi_to"]:
		r.fail(start, "", "imsi_from and imsi_to go together")
	case r.has["mcc"] != r.has["mnc"]:
		r.fail(start, "", "mcc and mnc go together")
	}
	return len(r.errs) == 0
}

func known(name string) bool {
	for _, c := range columns {
		if c == name {
			return true
		}
	}
	return false
}

// row is one row by the names of its columns.
type row struct {
	value map[string]string
	place map[string]int
}

func (r *reader) route(fields []string) {
	w := row{make(map[string]string, len(fields)), make(map[string]int, len(fields))}
	for i, f := range fields {
		if f == "" {
			continue
		}
		if i >= len(r.columns) || r.columns[i] == "" {
			r.fail(r.at(i), "a separator inside of a field needs quotes around it", "a value without a column")
			return
		}
		w.value[r.columns[i]], w.place[r.columns[i]] = f, i
	}
	before := len(r.errs)
	key, subject, pos := r.subject(&w)
	r.check(&w)
	if len(r.errs) > before {
		return
	}
	if line, twice := r.first[key+" "+subject]; twice {
		r.fail(pos, fmt.Sprintf("first in line %d", line), "%s %s is there twice", key, subject)
		return
	}
	r.first[key+" "+subject] = pos.Line
	r.count++
	n := r.list.Item()
	if c := w.value["comment"]; c != "" {
		n.Comment("%s", c)
	}
	n.Set(key, subject, migrate.From(pos))
	auth, acct := w.value["auth"], w.value["accounting"]
	if p := w.value["pool"]; p != "" {
		auth, acct = p, p
	}
	if w.value["host"] != "" {
		auth = r.pool(&w)
		acct = auth
	}
	for _, k := range []struct{ key, value string }{{"name", w.value["name"]}, {"auth", auth}, {"accounting", acct},
		{"acknowledge", strings.ToLower(w.value["acknowledge"])}, {"reject", w.value["reject"]}} {
		if k.value != "" {
			n.Set(k.key, k.value, "")
		}
	}
}

// subject is what a row routes: one of three kinds.
func (r *reader) subject(w *row) (key, subject string, pos realm.Pos) {
	var found []string
	for _, c := range []string{"realm", "imsi", "imsi_from", "plmn", "mcc"} {
		if w.value[c] != "" {
			found = append(found, c)
		}
	}
	switch {
	case len(found) == 0:
		r.fail(realm.Pos{File: r.file, Line: r.at(0).Line, Col: 1}, "realm, imsi or plmn", "the row does not say what is routed")
		return "", "", pos
	case len(found) > 1:
		r.fail(r.at(w.place[found[1]]), "write two rows", "a row has %s or %s, not both", found[0], found[1])
		return "", "", pos
	}
	c := found[0]
	v := w.value[c]
	pos = r.at(w.place[c])
	switch c {
	case "realm":
		return "realm", r.realm(pos, v), pos
	case "imsi":
		first, last, ranged := strings.Cut(strings.ReplaceAll(v, " ", ""), "-")
		if !ranged {
			return "imsi", r.digits(pos, first, 5, 15), pos
		}
		return "imsi", r.imsis(pos, pos, first, last), pos
	case "imsi_from":
		to := w.value["imsi_to"]
		if to == "" {
			r.fail(pos, "", "imsi_from without imsi_to")
			return "", "", pos
		}
		return "imsi", r.imsis(pos, r.at(w.place["imsi_to"]), v, to), pos
	case "plmn":
		mcc, mnc, dashed := strings.Cut(v, "-")
		if !dashed && len(v) > 3 {
			mcc, mnc = v[:3], v[3:]
		}
		return "plmn", r.plmn(pos, mcc, mnc), pos
	}
	return "plmn", r.plmn(pos, v, w.value["mnc"]), pos
}

func (r *reader) realm(pos realm.Pos, v string) string {
	v = strings.TrimPrefix(v, "@")
	name := strings.TrimPrefix(v, "*.")
	var buf [nai.MaxLen]byte
	if folded := nai.Fold(&buf, []byte(v)); folded != nil {
		v = string(folded)
	}
	if v == realm.NameNone || v == realm.NameDefault {
		return v
	}
	if _, _, why := nai.Split([]byte("@" + name)); why != nai.OK {
		hint := ""
		if why == nai.NoDot {
			hint = "complete the domain"
		}
		r.fail(pos, hint, "%q is no realm: %s", migrate.Printable(name), strings.ReplaceAll(why.String(), "_", " "))
	}
	return v
}

// digits checks a number that spreadsheets like to spoil.
func (r *reader) digits(pos realm.Pos, v string, least, most int) string {
	if _, err := strconv.ParseFloat(v, 64); err == nil && strings.ContainsAny(v, "eE.+") {
		r.fail(pos, "format the column as text and enter it again", "%q is a number that the spreadsheet has rounded", v)
		return ""
	}
	if v == "" || strings.Trim(v, "0123456789") != "" || len(v) < least || len(v) > most {
		r.fail(pos, fmt.Sprintf("%d to %d digits", least, most), "%q is no row of digits of that length", migrate.Printable(v))
		return ""
	}
	return v
}

func (r *reader) imsis(from, to realm.Pos, first, last string) string {
	a, b := r.digits(from, first, 5, 15), r.digits(to, last, 5, 15)
	switch {
	case a == "" || b == "":
	case len(a) != len(b):
		r.fail(to, "", "a range of numbers of %d and %d digits", len(a), len(b))
	case a > b:
		r.fail(to, "the lower first", "the range is reversed")
	}
	return a + "-" + b
}

func (r *reader) plmn(pos realm.Pos, mcc, mnc string) string {
	switch {
	case len(mcc) != 3 || strings.Trim(mcc, "0123456789") != "":
		r.fail(pos, "262-01, 26201, or 262 for a country", "%q is no code of a country", migrate.Printable(mcc))
	case mnc == "":
		return mcc
	case len(mnc) == 1 && strings.Trim(mnc, "0123456789") == "":
		r.fail(pos, "format the column as text and enter it again", "the network code %q has lost its zero", mnc)
	case len(mnc) > 3 || strings.Trim(mnc, "0123456789") != "":
		r.fail(pos, "262-01, 26201, or 262 for a country", "%q is no code of a network", migrate.Printable(mnc))
	}
	return mcc + "-" + mnc
}

// check looks at where a row goes.
func (r *reader) check(w *row) {
	start := realm.Pos{File: r.file, Line: r.at(0).Line, Col: 1}
	for _, c := range []string{"pool", "auth", "accounting", "name"} {
		if v := w.value[c]; v != "" && !isName(v) {
			r.fail(r.at(w.place[c]), "up to 64 letters, digits, dots, dashes and underscores", "%s: %q is no name", c, migrate.Printable(v))
		}
	}
	if a := strings.ToLower(w.value["acknowledge"]); a != "" && a != "home" && a != "durable" {
		r.fail(r.at(w.place["acknowledge"]), "home or durable", "acknowledge: %q is not known", migrate.Printable(a))
	}
	r.checkHome(w)
	pool, auth, reject := w.value["pool"], w.value["auth"], w.value["reject"]
	switch {
	case w.value["host"] != "":
	case pool != "" && (auth != "" || w.value["accounting"] != ""):
		r.fail(r.at(w.place["pool"]), "", "pool is for both: a row has it, or auth and accounting")
	case reject != "" && (pool != "" || auth != ""):
		r.fail(r.at(w.place["reject"]), "", "a row is rejected or has a pool")
	case pool == "" && auth == "" && w.value["accounting"] == "" && reject == "":
		r.fail(start, "pool, auth, accounting, reject or host", "the row does not say where it goes")
	}
}

func isName(s string) bool {
	return len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == ""
}
