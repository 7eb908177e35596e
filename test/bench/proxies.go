package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

// The kinds of contender.
const (
	roamgate    = "roamgate"
	radsecproxy = "radsecproxy"
	freeradius  = "freeradius"
	forwarder   = "forwarder"
	direct      = "direct" // the visited network asks the home itself
	newer       = "radsecproxy-new"

	freediameter = "freediameter"
)

// kinds is what the command line may name.
var kinds = []string{roamgate, radsecproxy, freeradius, forwarder, freediameter, direct}

// proxy is one that takes turns.
type proxy struct {
	contender
	version    string
	auth, acct netip.AddrPort
	radsec     netip.AddrPort // for both, over TLS
	diameter   netip.AddrPort
	admin      netip.AddrPort // of roamgate
	secret     string         // of its clients
	command    *exec.Cmd      // nil without a process
	redis      *exec.Cmd      // beside it, nil without
	log        *os.File
	warm       float64 // transactions a second when it was warmed up
	turns      []turn
}

// pid is the proxy's own: taskset becomes the program it starts.
func (p *proxy) pid() int { return p.command.Process.Pid }

func (p *proxy) peakRSS() (int64, error) {
	if p.command == nil {
		return 0, nil
	}
	return memory(p.pid(), "VmHWM")
}

// drain waits until the proxy has carried on everything that it has taken.
func (p *proxy) drain(ctx context.Context) error {
	if !p.admin.IsValid() {
		return nil
	}
	return awaitDrained(ctx, p.admin)
}

// stop ends the process; the figures stay.
func (p *proxy) stop() {
	if p.kind == freediameter && p.command != nil {
		_ = p.command.Process.Kill() // it has nothing to lose, and takes leave of peers for up to 16 s
	}
	end(p.command)
	end(p.redis)
	if p.log != nil {
		_ = p.log.Close()
	}
	p.command, p.redis, p.log = nil, nil, nil
}

func end(c *exec.Cmd) {
	if c == nil || c.Process == nil {
		return
	}
	_ = c.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(10*time.Second, func() { _ = c.Process.Kill() })
	_ = c.Wait()
	timer.Stop()
}

// program is what a kind of contender runs, "" for none.
func (b *bench) program(kind string) string {
	switch kind {
	case roamgate:
		return b.options.roamgate
	case newer:
		return b.newer
	case radsecproxy, freeradius:
		return kind
	case freediameter:
		return "freeDiameterd"
	}
	return ""
}

func (b *bench) installed(kind string) bool {
	name := b.program(kind)
	if name == "" {
		return true
	}
	_, err := exec.LookPath(name)
	return err == nil
}

// startProxy writes a configuration for the proxy, starts it on its processor
// and waits until it answers.
func (st *stage) startProxy(ctx context.Context, p *proxy) error {
	p.secret = visitedSecret
	if p.kind == direct {
		p.auth, p.acct, p.secret = st.load.homes[0].Auth, st.load.homes[0].Acct, homeSecret
		p.version, p.diameter = "no proxy: the load alone", p.auth
		return nil
	}
	for _, port := range []*netip.AddrPort{&p.auth, &p.acct, &p.radsec, &p.diameter} {
		var err error
		if *port, err = st.freePort(); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp(st.dir, p.kind+"-")
	if err != nil {
		return fmt.Errorf("making the directory of %s: %w", p.name, err)
	}
	args, err := st.prepare(ctx, p, dir)
	if err != nil {
		return fmt.Errorf("configuring %s: %w", p.name, err)
	}
	if p.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return fmt.Errorf("opening the log of %s: %w", p.name, err)
	}
	c := pinned(st.proxyCPU, args[0], args[1:]...)
	c.Stdout, c.Stderr = p.log, p.log
	if p.collect != "" {
		c.Env = append(os.Environ(), "GOGC="+p.collect)
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	p.command = c
	if err := st.await(ctx, p); err != nil {
		text, _ := os.ReadFile(p.log.Name())
		return fmt.Errorf("%w\n%s", err, text[max(0, len(text)-4096):])
	}
	return nil
}

// freePort gives each port once in a run: what is free may be given again
// before anybody has taken it.
func (b *bench) freePort() (netip.AddrPort, error) {
	for {
		at, err := play.FreePort()
		if err != nil || !b.given[at] {
			b.given[at] = true
			return at, err
		}
	}
}

// prepare gives the command that runs the proxy.
func (st *stage) prepare(ctx context.Context, p *proxy, dir string) ([]string, error) {
	switch p.kind {
	case roamgate:
		return st.roamgate(ctx, p, dir)
	case radsecproxy, newer:
		return st.radsecproxy(p, dir)
	case freeradius:
		return st.freeradius(p, dir)
	case freediameter:
		return st.freediameter(p, dir)
	}
	return st.forwarder(p)
}

// await sends single requests until one is answered.
func (st *stage) await(ctx context.Context, p *proxy) error {
	if st.in != "" {
		if err := awaitTCP(ctx, p.radsec); err != nil {
			return err
		}
	}
	v := st.visit(p)
	v.Window, v.Sockets, v.Duration = 1, 1, 50*time.Millisecond
	deadline := time.Now().Add(30 * time.Second)
	var err error
	for time.Now().Before(deadline) && ctx.Err() == nil {
		if _, err = st.load.turn(ctx, p, order{Visits: []visit{v}}); err == nil {
			return nil
		}
	}
	return fmt.Errorf("waiting for %s: %w", p.name, errors.Join(err, ctx.Err()))
}

func (st *stage) forwarder(p *proxy) ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	p.secret = homeSecret // it touches nothing, so both ends share one
	p.version = "pkg/udp, no crypto, no RADIUS"
	home := st.load.homes[0]
	return []string{self, "forward", strconv.FormatBool(p.segment), p.auth.String(), home.Auth.String(), p.acct.String(), home.Acct.String()}, nil
}

// writeConfig writes the file; a command that ends with -c gets its name.
func writeConfig(dir, name, text string, command ...string) ([]string, error) {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if command[len(command)-1] == "-c" {
		command = append(command, path)
	}
	return command, nil
}
