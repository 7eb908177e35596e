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

// records counts the durable records by kind, each session once, by reading
// them all back.
func (h *hubProcess) records(ctx context.Context) (map[string]uint64, error) {
	byKind, seen := map[string]uint64{}, map[string]bool{}
	for from := uint64(0); ; {
		n, last, err := h.recordsFrom(ctx, from, func(kind, session string) {
			if !seen[kind+session] {
				seen[kind+session] = true
				byKind[kind]++
			}
		})
		if err != nil || n == 0 {
			return byKind, err
		}
		from = last + 1
	}
}

func (h *hubProcess) recordsFrom(ctx context.Context, from uint64, each func(kind, session string)) (n int, last uint64, err error) {
	body, err := h.get(ctx, fmt.Sprintf("/records?from=%d", from))
	if err != nil {
		return 0, 0, err
	}
	defer body.Close()
	for d := json.NewDecoder(bufio.NewReader(body)); ; n++ {
		var r struct {
			Seq     uint64
			Kind    string
			Session string `json:"session_id"`
		}
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return n, last, nil
		} else if err != nil {
			return n, last, fmt.Errorf("reading the hub's records: %w", err)
		}
		last = r.Seq
		each(r.Kind, r.Session)
	}
}
