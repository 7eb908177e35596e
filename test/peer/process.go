package peer

import (
	"bytes"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// startLimit bounds the wait for a program to answer; a loaded CI
	// machine starts FreeRADIUS in about a second.
	startLimit = time.Minute
	// stopLimit is how long a program may take to end by itself.
	stopLimit = 5 * time.Second
	// askAgain is the pause between two questions whether it is ready.
	askAgain = 30 * time.Millisecond
	// keepOutput is how much of a program's last output is kept.
	keepOutput = 1 << 20
	// showOutput is how much of it a failed test prints.
	showOutput = 16 << 10
)

// Process is one running program.
type Process struct {
	Name string

	t    testing.TB
	cmd  *exec.Cmd
	out  *output
	done chan struct{} // closed when the program has ended
	err  error         // of Wait; valid after done
	once sync.Once

	waited bool // for its end: whoever waited has the output
}

// Start starts cmd and registers its end with the test. Standard output and
// standard error are kept together.
func Start(t testing.TB, name string, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{Name: name, t: t, cmd: cmd, out: &output{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	cmd.WaitDelay = stopLimit
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	// A test binary that is killed must not leave daemons behind.
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() && !p.waited {
			t.Logf("%s (pid %d) printed:\n%s", name, cmd.Process.Pid, p.out.tail(showOutput))
		}
	})
	return p
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output is the end of what the program printed so far.
func (p *Process) Output() string { return p.out.tail(keepOutput) }

// Ended tells whether the program is gone.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Signal sends a signal to a running program.
func (p *Process) Signal(s syscall.Signal) {
	if !p.Ended() {
		_ = p.cmd.Process.Signal(s) // it may end between the two calls
	}
}

// Kill ends the program at once (SIGKILL) and waits until it is gone.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Stop asks the program to end, and kills it when it does not.
func (p *Process) Stop() {
	p.once.Do(func() { p.Signal(syscall.SIGTERM) })
	select {
	case <-p.done:
	case <-time.After(stopLimit):
		p.Kill()
	}
}

// Wait waits for the program to end by itself and returns its error. What it
// printed is then the caller's to show.
func (p *Process) Wait(limit time.Duration) error {
	p.waited = true
	select {
	case <-p.done:
		return p.err
	case <-time.After(limit):
		p.Kill()
		return fmt.Errorf("%s did not end in %s", p.Name, limit)
	}
}

// ready asks until ask returns nil. The test fails when the program ends
// first or does not answer in time.
func (p *Process) ready(ask func() error) {
	p.t.Helper()
	deadline := time.Now().Add(startLimit)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s is not ready after %s: %v\n%s", p.Name, startLimit, err, p.out.tail(showOutput))
		}
		select {
		case <-p.done:
			p.t.Fatalf("%s ended while starting: %v\n%s", p.Name, p.err, p.out.tail(showOutput))
		case <-time.After(askAgain):
		}
	}
}

// Eventually asks until ok is true; at the limit the test fails with what.
func Eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", limit, what)
		}
		<-time.After(askAgain)
	}
}

// output keeps the last octets written to it.
type output struct {
	mu sync.Mutex
	b  []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b = append(o.b, p...)
	if len(o.b) > 2*keepOutput {
		o.b = append(o.b[:0], o.b[len(o.b)-keepOutput:]...)
	}
	return len(p), nil
}

func (o *output) tail(n int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.b
	if len(b) > n {
		b = b[len(b)-n:]
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			b = b[i+1:]
		}
	}
	return string(b)
}
