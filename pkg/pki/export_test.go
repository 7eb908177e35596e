package pki

// ReadNames reads a subjectAltName alone, for the fuzzer.
func ReadNames(der []byte) (*Identity, Cause) {
	n, why := parseNames(der)
	return &Identity{Realms: n.realms, Hosts: n.hosts, Addrs: n.addrs}, why
}
