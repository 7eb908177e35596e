package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// loadProcess is the parent's end of a load process.
type loadProcess struct {
	command *exec.Cmd
	orders  io.WriteCloser
	results *json.Decoder
	homes   []homePorts
	// processors are those of both sides.
	processors [2]int
	had        uint64 // requests that had come to the homes after the last turn
}

func startLoad(o options, e estate) (*loadProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	what, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("telling the load process its work: %w", err)
	}
	c := pinned(o.loadCPU, self, "load", string(what))
	// Up to three event loops share the processor; with fewer scheduler slots
	// each would wait for the others' system calls. Those that spin keep theirs, and
	// the collector's turns would be the latency that is measured.
	c.Env = append(os.Environ(), "GOMAXPROCS=4")
	if e.Spin {
		c.Env = append(os.Environ(), "GOMAXPROCS=8", "GOGC=1000")
	}
	c.Stderr = os.Stderr
	l := &loadProcess{command: c, processors: [2]int{o.loadCPU, o.proxyCPU}}
	if l.orders, err = c.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting the load process: %w", err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the load process: %w", err)
	}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("starting the load process: %w", err)
	}
	l.results = json.NewDecoder(bufio.NewReader(out))
	if err := l.results.Decode(&l.homes); err != nil {
		l.stop()
		return nil, fmt.Errorf("reading the homes' ports: %w", err)
	}
	return l, nil
}

func (l *loadProcess) pid() int { return l.command.Process.Pid }

// interrupt ends a turn that may have a minute to go.
func (l *loadProcess) interrupt() { _ = l.command.Process.Signal(syscall.SIGTERM) }

func (l *loadProcess) stop() {
	_ = l.orders.Close()
	_ = l.command.Wait()
}

// turn lets a proxy work and measures it. The first visit is the one whose
// outcome counts, the others' outcomes are beside it.
func (l *loadProcess) turn(ctx context.Context, p *proxy, o order) (turn, error) {
	before, err := l.usage(p)
	if err != nil {
		return turn{}, err
	}
	type reading struct {
		usage
		err error
	}
	inTime := make(chan reading, 1)
	begun := time.Now()
	time.AfterFunc(o.Visits[0].Duration, func() {
		u, err := l.usage(p)
		inTime <- reading{u, err}
	})
	r, err := l.ask(o)
	if err != nil {
		return turn{}, err
	}
	outcomes := r.Outcomes
	for i := range outcomes {
		if err := outcomes[i].check(&o.Visits[i]); err != nil {
			return turn{}, err
		}
	}
	busy := <-inTime
	if busy.err != nil {
		return turn{}, busy.err
	}
	if err := p.drain(ctx); err != nil {
		return turn{}, err
	}
	after, err := l.usage(p)
	if err != nil {
		return turn{}, err
	}
	if err := l.reached(o, outcomes); err != nil {
		return turn{}, err
	}
	t := turn{outcome: outcomes[0], others: outcomes[1:], during: o.Visits[0].Duration, all: time.Since(begun)}
	t.cpu, t.proxyBusy, t.loadBusy = after.proxy-before.proxy, busy.proxy-before.proxy, busy.load-before.load
	t.foreign = max(0, busy.all-before.all-t.proxyBusy-t.loadBusy)
	t.rss, err = p.peakRSS()
	return t, err
}

// usage is the CPU time so far of the two sides, and that both processors
// have been busy with anything.
type usage struct{ proxy, load, all time.Duration }

func (l *loadProcess) usage(p *proxy) (u usage, err error) {
	if u.all, err = busyTime(l.processors[:]); err != nil {
		return u, err
	}
	if u.load, err = cpuTime(l.pid()); err != nil {
		return u, err
	}
	if p.command != nil {
		u.proxy, err = cpuTime(p.pid())
	}
	return u, err
}

// pinned runs a program on one processor.
func pinned(cpu int, name string, args ...string) *exec.Cmd {
	c := exec.Command("taskset", append([]string{"-c", strconv.Itoa(cpu), name}, args...)...)
	c.SysProcAttr = childAttributes()
	return c
}

// script changes homes between turns.
func (l *loadProcess) script(s ...homeScript) error {
	_, err := l.ask(order{Scripts: s})
	return err
}

func (l *loadProcess) ask(o order) (r reply, err error) {
	if err := json.NewEncoder(l.orders).Encode(o); err != nil {
		return r, fmt.Errorf("ordering: %w", err)
	}
	if err := l.results.Decode(&r); err != nil {
		return r, fmt.Errorf("reading the reply: %w", err)
	}
	return r, nil
}

// reached wants everything that was answered to have come to a home by now: a
// proxy that answers by itself has not done the work yet.
func (l *loadProcess) reached(o order, outcomes []outcome) error {
	r, err := l.ask(order{})
	if err != nil {
		return err
	}
	n := r.Reached - l.had
	l.had = r.Reached
	return missing(n, o.Visits, outcomes)
}

func missing(reached uint64, visits []visit, outcomes []outcome) error {
	var finished uint64
	for i := range outcomes {
		if visits[i].Refusable {
			return nil // some answers are the proxy's own
		}
		finished += outcomes[i].Finished
	}
	if reached < finished {
		return fmt.Errorf("%d requests were answered and only %d have come to a home", finished, reached)
	}
	return nil
}
