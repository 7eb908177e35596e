package radsecproxy

import (
	"strings"

	"github.com/roamgate/roamgate/realm/migrate"
)

// words are the modes of the original in our files.
var words = map[string]string{
	"none": "none", "basic": "basic", "full": "full",
	"static": "static", "original": "original", "vendorhashed": "vendor_hashed", "vendorkeyhashed": "vendor_key_hashed",
	"fullyhashed": "fully_hashed", "fullykeyhashed": "fully_key_hashed",
}

// fticks writes the section of F-Ticks.
func (i *importer) fticks(root *migrate.Node) {
	m := &i.main
	reporting := m.get("fticksreporting")
	if reporting == nil || strings.EqualFold(reporting.val, "none") {
		for _, name := range []string{"fticksreporting", "fticksmac", "ftickskey", "ftickssyslogfacility", "fticksprefix"} {
			m.each(name, func(o *option) { i.mapped(m, o, "F-Ticks are off, as by default") })
		}
		return
	}
	node := root.Map("fticks")
	node.Set("reporting", words[strings.ToLower(reporting.val)], i.from(reporting))
	i.mapped(m, reporting, "fticks.reporting")
	if o := m.get("fticksmac"); o != nil {
		node.Set("mac", words[strings.ToLower(o.val)], i.from(o))
		i.mapped(m, o, "fticks.mac")
	}
	if o := m.get("ftickskey"); o != nil {
		path, err := i.out.Secret("fticks.key", []byte(o.val))
		if err != nil {
			i.left(m, o, "%v", err)
		} else {
			node.Set("key_file", strings.TrimPrefix(path, "../"), i.from(o))
			i.mapped(m, o, "fticks.key_file")
		}
	}
	if o := m.get("fticksprefix"); o != nil {
		node.Set("prefix", o.val, i.from(o))
		i.mapped(m, o, "fticks.prefix")
	}
	i.fticksTo(node)
}

// fticksTo says where the lines go: where FTicksSyslogFacility says, else where
// the log goes.
func (i *importer) fticksTo(node *migrate.Node) {
	m := &i.main
	facility, log := m.get("ftickssyslogfacility"), m.get("logdestination")
	const syslog, local = "x-syslog://", "unix:/dev/log"
	name := func(o *option) string {
		s := strings.ToLower(o.val)
		s = strings.TrimPrefix(strings.TrimPrefix(s, syslog), "/")
		return strings.TrimPrefix(s, "log_")
	}
	if facility != nil && strings.HasPrefix(strings.ToLower(facility.val), "file:///") {
		i.mapped(m, facility, "radsecproxy permits no file: it goes where the log goes")
		facility = nil
	}
	switch {
	case facility != nil && name(facility) != "":
		node.Set("to", local, i.from(facility))
		node.Set("facility", name(facility), i.from(facility))
	case log != nil && strings.HasPrefix(strings.ToLower(log.val), "file:///"):
		node.Set("to", "file:"+log.val[len("file://"):], i.from(log))
	case log != nil && strings.HasPrefix(strings.ToLower(log.val), syslog) && name(log) != "":
		node.Set("to", local, i.from(log))
		node.Set("facility", name(log), i.from(log))
	default:
		node.Set("to", local, "the default")
	}
	i.mapped(m, facility, "fticks.to, fticks.facility")
}
