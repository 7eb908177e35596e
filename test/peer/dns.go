package peer

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// DNS are signed zones on an nsd, and an unbound in front of it that validates
// them by the trust anchor of each.
type DNS struct {
	Authority netip.AddrPort // nsd
	Resolver  netip.AddrPort // unbound
	nsd       *Process
	dir       string
	zones     []string
	t         testing.TB
}

// signLimit bounds one run of ldns's programs.
const signLimit = 20 * time.Second

// StartDNS serves zones, each a text of records whose origin is the name, such
// as `@ NAPTR 100 10 "s" "x-eduroam:radius.tls" "" _radsec._tcp`. SOA and NS
// are added. A zone with a signature that does not fit, as an attacker's would
// be, is one of bogus.
func StartDNS(t testing.TB, zones map[string]string, bogus ...string) *DNS {
	t.Helper()
	Need(t, "nsd", "unbound", "ldns-keygen", "ldns-signzone")
	d := &DNS{Authority: Port(t), Resolver: Port(t), dir: t.TempDir(), t: t}
	var nsd, anchors, stubs strings.Builder
	for name := range zones {
		d.zones = append(d.zones, name)
	}
	slices.Sort(d.zones)
	for _, name := range d.zones {
		key := strings.TrimSpace(d.run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", name))
		d.write(name, zones[name], key, slices.Contains(bogus, name))
		fmt.Fprintf(&nsd, "zone:\n\tname: %q\n\tzonefile: %q\n", name, d.path(name+".zone.signed"))
		anchor, err := os.ReadFile(d.path(key + ".key"))
		require.NoError(t, err)
		anchors.Write(anchor)
		fmt.Fprintf(&stubs, "stub-zone:\n\tname: %q\n\tstub-addr: %s@%d\n", name, d.Authority.Addr(), d.Authority.Port())
	}
	d.file("nsd.conf", fmt.Sprintf("server:\n\tip-address: %s@%d\n\tserver-count: 1\n\tusername: \"\"\n\tzonesdir: %q\n\tdatabase: \"\"\n"+
		"\tpidfile: %q\n\txfrdfile: %q\n\tzonelistfile: %q\n\txfrdir: %q\nremote-control:\n\tcontrol-enable: no\n",
		d.Authority.Addr(), d.Authority.Port(), d.dir, d.path("nsd.pid"), d.path("xfrd.state"), d.path("zone.list"), d.dir)+nsd.String())
	d.file("anchors", anchors.String())
	d.file("unbound.conf", fmt.Sprintf("server:\n\tinterface: %s@%d\n\tport: %d\n\tdo-daemonize: no\n\tusername: \"\"\n\tchroot: \"\"\n\tdirectory: %q\n"+
		"\tpidfile: %q\n\tuse-syslog: no\n\tlogfile: \"\"\n\tdo-not-query-localhost: no\n\ttrust-anchor-file: %q\n\tmodule-config: \"validator iterator\"\n"+
		"\taccess-control: 127.0.0.0/8 allow\n\troot-hints: \"\"\n\tnum-threads: 1\n%sremote-control:\n\tcontrol-enable: no\n",
		d.Resolver.Addr(), d.Resolver.Port(), d.Resolver.Port(), d.dir, d.path("unbound.pid"), d.path("anchors"), local(d.zones))+stubs.String())
	d.nsd = Start(t, "nsd", exec.Command("nsd", "-d", "-c", d.path("nsd.conf")))
	d.nsd.ready(func() error { return answersDNS(d.Authority, d.zones[0]) })
	unbound := Start(t, "unbound", exec.Command("unbound", "-d", "-c", d.path("unbound.conf")))
	unbound.ready(func() error { return answersDNS(d.Resolver, d.zones[0]) })
	return d
}

// local lets unbound ask for names under those that it answers by itself, such
// as example and test (RFC 6761).
func local(zones []string) string {
	var b strings.Builder
	for _, z := range zones {
		fmt.Fprintf(&b, "\tlocal-zone: %q nodefault\n", z)
	}
	return b.String()
}

// write makes the zone's file and signs it.
func (d *DNS) write(name, records, key string, bogus bool) {
	d.t.Helper()
	head := fmt.Sprintf("$ORIGIN %s.\n$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A %s\n", name, d.Authority.Addr())
	file := d.file(name+".zone", head+records+"\n")
	d.run("ldns-signzone", file, key)
	if !bogus {
		return
	}
	// What was signed is not what is served: each address is another's.
	b, err := os.ReadFile(file + ".signed")
	require.NoError(d.t, err)
	lines := strings.SplitAfter(string(b), "\n")
	for i, l := range lines {
		if f := strings.Fields(l); len(f) > 4 && f[3] == "A" {
			lines[i] = strings.Replace(l, f[4], "192.0.2.66", 1)
		}
	}
	d.file(name+".zone.signed", strings.Join(lines, ""))
}

func (d *DNS) path(name string) string { return filepath.Join(d.dir, name) }

func (d *DNS) file(name, text string) string {
	d.t.Helper()
	require.NoError(d.t, os.WriteFile(d.path(name), []byte(text), 0o600))
	return d.path(name)
}

func (d *DNS) run(name string, args ...string) string {
	d.t.Helper()
	command := exec.Command(name, args...)
	command.Dir = d.dir
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	require.NoError(d.t, command.Start())
	timer := time.AfterFunc(signLimit, func() { _ = command.Process.Kill() })
	defer timer.Stop()
	require.NoError(d.t, command.Wait(), "%s: %s", name, &errs)
	return out.String()
}

// answersDNS asks once for the SOA of a zone.
func answersDNS(at netip.AddrPort, zone string) error {
	q := []byte{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for label := range strings.SplitSeq(zone, ".") {
		q = append(append(q, byte(len(label))), label...)
	}
	q = append(q, 0, 0, 6, 0, 1) // SOA, IN
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(aliveLimit)); err != nil {
		return err
	}
	if _, err := c.Write(q); err != nil {
		return err
	}
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil {
		return err
	}
	if n < 12 || b[0] != q[0] || b[1] != q[1] || b[3]&0xf != 0 || b[7] == 0 {
		return fmt.Errorf("%s does not know %s: % x", at, zone, b[:min(n, 12)])
	}
	return nil
}
