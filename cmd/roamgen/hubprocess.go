package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// hubProcess is roamgate as a child process.
type hubProcess struct {
	command *exec.Cmd
	log     *os.File
	url     string
	client  http.Client
	ended   context.Context // ends with the process
	stopped bool
	exited  chan error
}

// hubStatus is the part of /status that is shown.
type hubStatus struct {
	Ready   bool
	Results map[string]uint64 `json:"results"`
	Local   map[string]uint64 `json:"local_answers"`
	Homes   []struct{ Name, Kind, State string }
	Records struct{ Last, Delivered uint64 }
	Usage   struct {
		Reports uint64            `json:"reports"`
		Classes map[string]uint64 `json:"classes"`
		Records map[string]uint64 `json:"records"`
	} `json:"usage"`
}

const (
	hubStartLimit = 30 * time.Second
	hubStopLimit  = 15 * time.Second
)

// startHub starts the program and waits until it is ready.
func startHub(ctx context.Context, program, config string, admin netip.AddrPort) (*hubProcess, error) {
	log, err := os.Create(filepath.Join(filepath.Dir(config), "roamgate.log"))
	if err != nil {
		return nil, fmt.Errorf("opening the hub's log: %w", err)
	}
	h := &hubProcess{
		command: exec.Command(program, "serve", "--config", config),
		log:     log, url: "http://" + admin.String(), exited: make(chan error, 1),
		client: http.Client{Timeout: 10 * time.Second},
	}
	h.command.Stdout, h.command.Stderr = log, log
	h.command.SysProcAttr = childAttributes()
	if err := h.command.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", program, err), log.Close())
	}
	var end context.CancelCauseFunc
	h.ended, end = context.WithCancelCause(context.Background())
	go func() {
		err := h.command.Wait()
		h.exited <- err
		end(fmt.Errorf("the hub ended by itself: %w", errors.Join(err, h.logTail())))
	}()
	if err := h.await(ctx); err != nil {
		return nil, errors.Join(err, h.stop())
	}
	return h, nil
}

// context ends when the process does; its cause says why.
func (h *hubProcess) context() context.Context { return h.ended }

func (h *hubProcess) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, hubStartLimit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if body, err := h.get(ctx, "/readyz"); err == nil {
			return body.Close()
		}
		select {
		case <-tick.C:
		case <-h.ended.Done():
			return context.Cause(h.ended)
		case <-ctx.Done():
			return fmt.Errorf("waiting for the hub to be ready: %w", errors.Join(ctx.Err(), h.logTail()))
		}
	}
}

// stop ends the process in order, and by force after a while.
func (h *hubProcess) stop() error {
	if h.stopped {
		return nil
	}
	h.stopped = true
	_ = h.command.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(hubStopLimit, func() { _ = h.command.Process.Kill() })
	defer kill.Stop()
	err := <-h.exited
	h.client.CloseIdleConnections()
	if err != nil && h.command.ProcessState.ExitCode() < 0 {
		err = fmt.Errorf("stopping the hub: %w", errors.Join(err, h.logTail()))
	} else {
		err = nil
	}
	return errors.Join(err, h.log.Close())
}

// logTail is the end of the hub's log, as an error to show.
func (h *hubProcess) logTail() error {
	b, err := os.ReadFile(h.log.Name())
	if err != nil {
		return err
	}
	const tail = 2000
	return fmt.Errorf("its log ends with:\n%s", b[max(0, len(b)-tail):])
}

func (h *hubProcess) get(ctx context.Context, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking the hub: %w", err)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the hub: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("asking the hub for %s: %s", path, resp.Status), resp.Body.Close())
	}
	return resp.Body, nil
}

func (h *hubProcess) status(ctx context.Context) (hubStatus, error) {
	var s hubStatus
	body, err := h.get(ctx, "/status")
	if err != nil {
		return s, err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&s); err != nil {
		return s, fmt.Errorf("reading the hub's status: %w", err)
	}
	return s, nil
}

// record is what is counted of a durable record.
type record struct {
	Seq          uint64
	Client, Kind string
	Session      string `json:"session_id"`
}

// tally counts records by client and kind.
type tally map[[2]string]uint64

// of sums up those of a client and a kind, where either is not "".
func (t tally) of(client, kind string) (n uint64) {
	for k, v := range t {
		if (client == "" || client == k[0]) && (kind == "" || kind == k[1]) {
			n += v
		}
	}
	return n
}

// records counts the durable records, each kind of a session once, by reading
// them all back.
func (h *hubProcess) records(ctx context.Context) (tally, error) {
	all, seen := tally{}, map[string]bool{}
	for from := uint64(0); ; {
		n, last, err := h.recordsFrom(ctx, from, func(r *record) {
			if !seen[r.Kind+r.Session] {
				seen[r.Kind+r.Session] = true
				all[[2]string{r.Client, r.Kind}]++
			}
		})
		if err != nil || n == 0 {
			return all, err
		}
		from = last + 1
	}
}

// cleared are the reports of each client that stand behind final records.
func (h *hubProcess) cleared(ctx context.Context) (map[string]uint64, error) {
	body, err := h.get(ctx, "/usage/sums")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var sums struct {
		Rows []struct {
			Client, Class string
			Reports       uint64
		}
	}
	if err := json.NewDecoder(body).Decode(&sums); err != nil {
		return nil, fmt.Errorf("reading the hub's sums: %w", err)
	}
	all := map[string]uint64{}
	for _, r := range sums.Rows {
		if r.Class == "cleared" {
			all[r.Client] += r.Reports
		}
	}
	return all, nil
}

func (h *hubProcess) recordsFrom(ctx context.Context, from uint64, each func(*record)) (n int, last uint64, err error) {
	body, err := h.get(ctx, fmt.Sprintf("/records?from=%d", from))
	if err != nil {
		return 0, 0, err
	}
	defer body.Close()
	for d := json.NewDecoder(bufio.NewReader(body)); ; n++ {
		var r record
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return n, last, nil
		} else if err != nil {
			return n, last, fmt.Errorf("reading the hub's records: %w", err)
		}
		last = r.Seq
		each(&r)
	}
}
