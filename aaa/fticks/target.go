package fticks

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Kind is what takes the lines.
type Kind uint8

const (
	Unix Kind = iota // a syslog socket of this host
	UDP              // a syslog server
	File
)

// Target is where lines go.
type Target struct {
	Kind     Kind
	Address  string // path, or host:port
	Facility int    // of syslog
}

// facilities of syslog that radsecproxy knows, by their names.
var facilities = map[string]int{
	"user": 1, "mail": 2, "daemon": 3,
	"local0": 16, "local1": 17, "local2": 18, "local3": 19, "local4": 20, "local5": 21, "local6": 22, "local7": 23,
}

// ParseTarget reads unix:PATH, udp:HOST:PORT or file:PATH, and the facility of
// the former two, "" daemon.
func ParseTarget(to, facility string) (t Target, err error) {
	kind, address, ok := strings.Cut(to, ":")
	if !ok || address == "" {
		return t, fmt.Errorf("%q is no target: unix:/dev/log, udp:HOST:PORT or file:PATH", to)
	}
	t.Address = address
	switch kind {
	case "unix":
	case "file":
		t.Kind = File
	case "udp":
		t.Kind = UDP
		_, port, err := net.SplitHostPort(address)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 {
			return t, fmt.Errorf("%q is no address with a port", address)
		}
	default:
		return t, fmt.Errorf("%q is no target: unix:/dev/log, udp:HOST:PORT or file:PATH", to)
	}
	if t.Kind == File && facility != "" {
		return t, errors.New("a file has no facility")
	}
	if facility == "" {
		facility = "daemon"
	}
	if t.Facility, ok = facilities[facility]; !ok {
		return t, fmt.Errorf("%q is no facility: user, mail, daemon or local0 to local7", facility)
	}
	return t, nil
}

// debug is the severity that radsecproxy gives to F-Ticks.
const debug = 7

// ident is what syslog calls this program.
const ident = "roamgate"

// output is an open Target.
type output struct {
	target Target
	to     io.WriteCloser
	down   bool
	again  time.Time // not tried before
	opened time.Time
	line   []byte
}

var errPause = errors.New("waiting before the next try")

// reopen is how long a file stays open.
const reopen = 10 * time.Second

// write writes one line; after a failure it tries again only some time later.
func (o *output) write(text []byte) error {
	now := time.Now()
	if o.target.Kind == File && now.Sub(o.opened) > reopen {
		o.close() // it may have been rotated
	}
	if o.to == nil {
		if now.Before(o.again) {
			return errPause
		}
		if err := o.open(); err != nil {
			return o.failed(now, err)
		}
		o.opened = now
	}
	o.line = o.frame(o.line[:0], now, text)
	if conn, ok := o.to.(net.Conn); ok {
		_ = conn.SetWriteDeadline(now.Add(pause))
	}
	if _, err := o.to.Write(o.line); err != nil {
		o.close()
		return o.failed(now, err)
	}
	o.down = false
	return nil
}

func (o *output) failed(now time.Time, err error) error {
	o.down, o.again = true, now.Add(pause)
	return err
}

func (o *output) open() (err error) {
	switch o.target.Kind {
	case File:
		o.to, err = os.OpenFile(o.target.Address, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	case UDP:
		o.to, err = net.DialTimeout("udp", o.target.Address, pause)
	default:
		o.to, err = net.DialTimeout("unixgram", o.target.Address, pause)
	}
	if err != nil {
		o.to = nil // not an interface that holds nil
		return fmt.Errorf("opening the target of F-Ticks: %w", err)
	}
	return nil
}

func (o *output) close() {
	if o.to != nil {
		_ = o.to.Close()
		o.to = nil
	}
}

// frame puts around a line what syslog wants, or what radsecproxy writes into
// its log file.
func (o *output) frame(b []byte, now time.Time, text []byte) []byte {
	if o.target.Kind == File {
		b = now.AppendFormat(b, time.ANSIC)
		b = append(append(b, ": "...), text...)
		return append(b, '\n')
	}
	b = append(b, '<')
	b = strconv.AppendInt(b, int64(o.target.Facility*8+debug), 10)
	b = append(b, '>')
	b = now.AppendFormat(b, time.Stamp)
	b = append(b, ' ')
	if o.target.Kind == UDP {
		b = append(append(b, hostname()...), ' ')
	}
	b = append(append(b, ident...), '[')
	b = strconv.AppendInt(b, int64(os.Getpid()), 10)
	return append(append(b, "]: "...), text...)
}

// hostname is this host's, without its domain, as syslog servers want it.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "-"
	}
	name, _, _ = strings.Cut(name, ".")
	return name
}
