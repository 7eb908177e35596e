package freeradius

import (
	"strings"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/migrate"
)

// localModules are those that authenticate, store and count by themselves: they
// do nothing to a request that is proxied.
var localModules = func() map[string]bool {
	all := map[string]bool{}
	for _, name := range strings.Fields(`preprocess chap mschap digest eap inner-eap files sql ldap expiration logintime pap unix
		detail auth_log reply_log pre_proxy_log post_proxy_log radutmp sradutmp acct_unique exec attr_filter.accounting_response
		dailycounter daily wimax totp yubikey linelog main_pool sqlippool cui remove_reply_message_if_eap krb5 passwd pam
		session sqlcounter expr always ok noop`) {
		all[name] = true
	}
	return all
}()

// processing are the sections of a virtual server in which policy runs; in the
// first ones it can change where a proxied request goes and what it says.
var processing = []struct {
	name    string
	proxied bool
}{
	{"authorize", true}, {"preacct", true}, {"pre-proxy", true}, {"post-proxy", true}, {"post-auth", true},
	{"authenticate", false}, {"accounting", false}, {"session", false}, {"recv-coa", true}, {"send-coa", true},
}

// policies names all policy of the virtual servers that hear requests: none of
// it is carried out.
func (w *writer) policies() {
	for _, h := range w.Hosts {
		if h.Section == nil {
			continue
		}
		for _, p := range processing {
			for _, s := range h.Section.Subs(p.name) {
				w.policySection(h, s, p.proxied)
			}
		}
		for _, s := range h.Section.Subs("home_server") {
			if !w.said[s] {
				w.refuse(s, "nothing refers to it")
			}
		}
	}
	if p := w.policy(filterUsername, Auth); p != nil && !w.shippedFilter() {
		w.report.Note(p.Pos, "policy", "filter_username is not the shipped one: what it rejects is not rejected here")
	}
}

func (w *writer) policySection(h *Host, s *Section, proxied bool) {
	var local []string
	path := h.Section.Title() + "/" + s.Name
	for _, i := range s.Items {
		var name string
		var pos realm.Pos
		if i.Section != nil {
			name, pos = i.Section.Title(), i.Section.Pos
		} else {
			name, pos = i.Pair.Name, i.Pair.Pos
		}
		bare := strings.TrimPrefix(name, "-")
		switch {
		case w.instances[bare] != nil:
			w.report.Map(pos, path+"/"+bare, "the order of routes")
		case bare == filterUsername && w.shippedFilter():
			w.report.Map(pos, path+"/"+bare, "identity: names with several @ and realms without a dot are rejected")
		case bare == "operator-name" || strings.HasPrefix(bare, "operator-name."):
			w.report.Map(pos, path+"/"+bare, "operator_name: stamp, at clients with an Operator-Name")
		case !proxied || localModules[bare] || localModules[strings.SplitN(bare, ".", 2)[0]] && bare != "attr_filter":
			local = append(local, bare)
		case strings.HasPrefix(bare, "Autz-Type") || strings.HasPrefix(bare, "Post-Auth-Type"):
			local = append(local, bare)
		default:
			w.report.Note(pos, "policy", "%s: %s is not carried out: routes, filters and the device policy say what is to be", path, migrate.Printable(name))
		}
	}
	if len(local) > 0 {
		w.report.Note(s.Pos, "local-policy", "%s: %s: a hub has no users of its own", path, migrate.Printable(strings.Join(local, ", ")))
	}
}
