package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

// proxy is one that takes turns.
type proxy struct {
	name       string
	version    string
	auth, acct netip.AddrPort
	secret     string // of its clients
	command    *exec.Cmd
	log        *os.File
	turns      []turn
}

// pid is the proxy's own: taskset becomes the program it starts.
func (p *proxy) pid() int { return p.command.Process.Pid }

func (p *proxy) stop() {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(5*time.Second, func() { _ = p.command.Process.Kill() })
	_ = p.command.Wait()
	timer.Stop()
	_ = p.log.Close()
}

// startProxy writes a configuration for the proxy, starts it on its processor
// and waits until it answers.
func startProxy(ctx context.Context, o options, l *loadProcess, name, dir string) (*proxy, error) {
	p := &proxy{name: name, secret: visitedSecret}
	for _, port := range []*netip.AddrPort{&p.auth, &p.acct} {
		var err error
		if *port, err = play.FreePort(); err != nil {
			return nil, err
		}
	}
	dir = filepath.Join(dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of %s: %w", name, err)
	}
	prepare, ok := map[string]func(options, *loadProcess, string) ([]string, error){
		"roamgate": p.roamgate, "radsecproxy": p.radsecproxy, "forwarder": p.forwarder, "freeradius": p.freeradius,
	}[name]
	if !ok {
		return nil, fmt.Errorf("proxy %q: want roamgate, radsecproxy, forwarder or freeradius", name)
	}
	args, err := prepare(o, l, dir)
	if err != nil {
		return nil, fmt.Errorf("configuring %s: %w", name, err)
	}
	if p.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	p.command = pinned(o.proxyCPU, args[0], args[1:]...)
	p.command.Stdout, p.command.Stderr = p.log, p.log
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	if err := p.await(ctx, o, l); err != nil {
		p.stop()
		text, _ := os.ReadFile(p.log.Name())
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	return p, nil
}

// await sends single requests until one is answered.
func (p *proxy) await(ctx context.Context, o options, l *loadProcess) error {
	one := o
	one.window, one.sockets = 1, 1
	deadline := time.Now().Add(15 * time.Second)
	for time.Now().Before(deadline) && ctx.Err() == nil {
		if _, err := l.turn(one, p, 50*time.Millisecond); err == nil {
			return nil
		}
	}
	return fmt.Errorf("waiting for %s: no answer", p.name)
}

func (p *proxy) roamgate(o options, l *loadProcess, dir string) ([]string, error) {
	admin, err := play.FreePort()
	if err != nil {
		return nil, err
	}
	h := play.HubFiles{
		Auth: p.auth, Acct: p.acct, Admin: admin, LogLevel: "warn",
		Clients: []play.HubClient{{Name: "visited", Address: "127.0.0.0/8", Secret: visitedSecret}},
		Homes:   []play.HubHome{{Name: "home", Auth: l.home.Auth, Acct: l.home.Acct, Secret: homeSecret}},
		Pools:   []play.HubPool{{Name: "homes", Homes: []string{"home"}}},
		Realms:  []play.HubRealm{{Realm: []string{benchRealm}, Auth: "homes", Accounting: "homes", Acknowledge: "home"}},
	}
	config, err := h.Write(dir)
	if err != nil {
		return nil, err
	}
	p.version = firstLine(o.roamgate, "version")
	return []string{o.roamgate, "serve", "--config", config}, nil
}

func (p *proxy) forwarder(_ options, l *loadProcess, _ string) ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	p.secret = homeSecret // it touches nothing, so both ends share one
	p.version = "pkg/udp, no crypto, no RADIUS"
	return []string{self, "forward", p.auth.String(), l.home.Auth.String(), p.acct.String(), l.home.Acct.String()}, nil
}

func (p *proxy) radsecproxy(_ options, l *loadProcess, dir string) ([]string, error) {
	config := fmt.Sprintf(`ListenUDP %s
ListenUDP %s
LogLevel 5
client 127.0.0.0/8 {
	type udp
	secret %s
}
server auth {
	type udp
	host 127.0.0.1
	port %d
	secret %s
}
server acct {
	type udp
	host 127.0.0.1
	port %d
	secret %s
}
realm * {
	server auth
	accountingServer acct
}
`, p.auth, p.acct, visitedSecret, l.home.Auth.Port(), homeSecret, l.home.Acct.Port(), homeSecret)
	p.version = firstLine("radsecproxy", "-v")
	return writeConfig(dir, "radsecproxy.conf", config, "radsecproxy", "-f", "-c")
}

// freeradius has the realm module and nothing else.
func (p *proxy) freeradius(_ options, l *loadProcess, dir string) ([]string, error) {
	config := fmt.Sprintf(`prefix = /usr
name = bench
logdir = %[1]s
run_dir = %[1]s
libdir = /usr/lib/freeradius
max_requests = 65536
log {
	destination = stdout
}
security {
	status_server = no
}
thread pool {
	start_servers = 4
	max_servers = 32
	min_spare_servers = 3
	max_spare_servers = 10
	max_requests_per_server = 0
	auto_limit_acct = no
}
proxy_requests = yes
modules {
	realm suffix {
		format = suffix
		delimiter = "@"
	}
}
client loopback {
	ipaddr = 127.0.0.0/8
	secret = %[2]s
}
home_server auth {
	type = auth
	ipaddr = 127.0.0.1
	port = %[4]d
	secret = %[3]s
	status_check = none
}
home_server acct {
	type = acct
	ipaddr = 127.0.0.1
	port = %[5]d
	secret = %[3]s
	status_check = none
}
home_server_pool auths {
	home_server = auth
}
home_server_pool accts {
	home_server = acct
}
realm DEFAULT {
	auth_pool = auths
	acct_pool = accts
	nostrip
}
server default {
	listen {
		type = auth
		ipaddr = 127.0.0.1
		port = %[6]d
	}
	listen {
		type = acct
		ipaddr = 127.0.0.1
		port = %[7]d
	}
	authorize {
		suffix
	}
	preacct {
		suffix
	}
}
`, dir, visitedSecret, homeSecret, l.home.Auth.Port(), l.home.Acct.Port(), p.auth.Port(), p.acct.Port())
	p.version = firstLine("freeradius", "-v")
	return writeConfig(dir, "radiusd.conf", config, "freeradius", "-f", "-l", "stdout", "-n", "radiusd", "-d", dir)
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
