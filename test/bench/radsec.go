package main

// radsecIn and radsecOut have RadSec on one side of the proxy.
var radsecIn = &scenario{
	name: "radsec", title: "RadSec in, UDP out",
	about: []string{
		"As PAP, with TLS 1.3 between the visited network and the proxy: as many connections as there are sockets elsewhere,",
		"each with the identifiers of RADIUS/1.0. The load asked directly is asked by UDP.",
	},
	setting:    setting{work: "pap", homes: 1, realms: 1, in: "1.0"},
	contenders: onStreams,
	measure:    saturate, table: saturatedTable,
}

var radsecOut = &scenario{
	name: "radsecout", title: "UDP in, RadSec out",
	about: []string{
		"As PAP, with TLS 1.3 between the proxy and the home. radsecproxy has one connection and 256 identifiers for the home.",
	},
	setting:    setting{work: "pap", homes: 1, realms: 1, out: "1.0"},
	contenders: onStreams,
	half:       true, measure: saturate, table: saturatedTable,
}

// onStreams speak RadSec; direct asks the home as the proxies do.
var onStreams = []contender{
	{name: roamgate, kind: roamgate},
	{name: radsecproxy, kind: radsecproxy},
	{name: newer, kind: newer},
	{name: direct, kind: direct},
}
