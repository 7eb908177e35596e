package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// adminVariable names the hub for all commands of a shell.
const adminVariable = "ROAMGATE_ADMIN"

// hubAddress is the administration port of the running hub.
type hubAddress struct {
	addr     string
	patience time.Duration // for an answer, 10 s if zero
}

func (h *hubAddress) flag(c *cobra.Command) {
	c.Flags().StringVar(&h.addr, "admin", cmp.Or(os.Getenv(adminVariable), adminDefault),
		"administration `address` of the running hub; $"+adminVariable+" changes the default")
}

// get asks the running hub for a JSON document.
func (h *hubAddress) get(ctx context.Context, path string, into any) error {
	body, err := h.open(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return problem("reading the hub's answer: %v", err)
	}
	return nil
}

// open asks the running hub; the caller closes what it answers.
func (h *hubAddress) open(ctx context.Context, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.addr+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking the hub at %s: %w", h.addr, err)
	}
	return h.do(req)
}

// do sends a request to the hub; the caller closes what it answers.
func (h *hubAddress) do(req *http.Request) (io.ReadCloser, error) {
	client := http.Client{Transport: &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		ResponseHeaderTimeout: cmp.Or(h.patience, 10*time.Second),
		DisableKeepAlives:     true,
	}}
	resp, err := client.Do(req)
	if err != nil {
		var cause *url.Error
		if errors.As(err, &cause) {
			err = cause.Err // without the request
		}
		return nil, &exitError{exitUnreachable, fmt.Sprintf("the hub does not answer: %v (is it running, and is %s its admin.listen? --admin names another)", err, h.addr)}
	}
	if resp.StatusCode >= http.StatusBadRequest {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		_ = resp.Body.Close()
		return nil, problem("the hub says: %s", strings.TrimSpace(string(text)))
	}
	return resp.Body, nil
}

// clientTLS verifies the server by the host's name.
func clientTLS(address string) *tls.Config {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	return &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
}
