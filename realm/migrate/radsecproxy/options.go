package radsecproxy

// kind is how the value of an option is read.
type kind uint8

const (
	text    kind = iota // once; %XX stands for an octet
	rawText             // once; as it is written
	list                // repeated
	rawList             // repeated, as they are written
	toggle              // on or off, the last one counts
	number              // as strtol reads it, the last one counts
	blockOf             // a block
)

// Blocks of the file.
const (
	mainBlock    = ""
	clientBlock  = "client"
	serverBlock  = "server"
	realmBlock   = "realm"
	tlsBlock     = "tls"
	rewriteBlock = "rewrite"
)

// options are those of each block, by their name in lower case: of release
// 1.9.2 and what the later ones up to 1.11 add.
var options = map[string]map[string]kind{
	mainBlock: {
		"listenudp": list, "listentcp": list, "listentls": list, "listendtls": list,
		"sourceudp": list, "sourcetcp": list, "sourcetls": list, "sourcedtls": list,
		"pidfile": text, "ttlattribute": text, "addttl": number, "loglevel": number, "logdestination": text,
		"logthreadid": toggle, "logmac": text, "logkey": text, "logfullusername": toggle, "loopprevention": toggle,
		"fticksreporting": text, "fticksmac": text, "ftickskey": text, "ftickssyslogfacility": text, "fticksprefix": text,
		"ipv4only": toggle, "ipv6only": toggle, "sni": toggle, "verifyeap": toggle, "requiremessageauthenticator": toggle,
		clientBlock: blockOf, serverBlock: blockOf, realmBlock: blockOf, tlsBlock: blockOf, rewriteBlock: blockOf,
	},
	clientBlock: {
		"type": text, "host": list, "ipv4only": toggle, "ipv6only": toggle, "secret": rawText,
		"tls": text, "pskidentity": text, "pskkey": rawText, "matchcertificateattribute": list,
		"certificatenamecheck": toggle, "certificatecncheck": toggle, "servername": text,
		"duplicateinterval": number, "idletimeout": number, "addttl": number, "tcpkeepalive": toggle,
		"rewrite": text, "rewritein": text, "rewriteout": text, "rewriteattribute": text,
		"fticksviscountry": text, "fticksvisinst": text,
		"requiremessageauthenticator": toggle, "requiremessageauthenticatorproxy": toggle,
	},
	serverBlock: {
		"type": text, "host": list, "ipv4only": toggle, "ipv6only": toggle, "port": text, "source": list, "secret": rawText,
		"tls": text, "pskidentity": text, "pskkey": rawText, "matchcertificateattribute": list,
		"certificatenamecheck": toggle, "certificatecncheck": toggle, "servername": text,
		"addttl": number, "tcpkeepalive": toggle, "rewrite": text, "rewritein": text, "rewriteout": text,
		"statusserver": text, "retryinterval": number, "retrycount": number, "idletimeout": number,
		"dynamiclookupcommand": text, "loopprevention": toggle, "blockingstartup": toggle,
		"sni": toggle, "sniservername": text, "dtlsforcemtu": number, "requiremessageauthenticator": toggle,
	},
	realmBlock: {
		"server": list, "accountingserver": list, "replymessage": text, "accountingresponse": toggle, "accountinglog": toggle,
	},
	tlsBlock: {
		"cacertificatefile": text, "cacertificatepath": text, "certificatefile": text, "certificatekeyfile": text,
		"certificatekeypassword": text, "cacheexpiry": number, "crlcheck": toggle, "policyoid": list,
		"cipherlist": text, "ciphersuites": text, "tlsversion": text, "dtlsversion": text, "dhfile": text,
	},
	rewriteBlock: {
		"whitelistmode": toggle, "removeattribute": list, "removevendorattribute": list,
		"whitelistattribute": list, "whitelistvendorattribute": list,
		"addattribute": rawList, "addvendorattribute": rawList, "supplementattribute": rawList, "supplementvendorattribute": rawList,
		"modifyattribute": list, "modifyvendorattribute": list,
	},
}

// secretOptions are those whose value is in no message.
var secretOptions = map[string]bool{"secret": true, "pskkey": true, "certificatekeypassword": true, "logkey": true, "ftickskey": true}
