package main

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/test/peer"
)

// files of a lab: an authority and one peer of it.
func files(t *testing.T) []string {
	dir := t.TempDir()
	ca, err := lab.NewCA("lab")
	require.NoError(t, err)
	root, err := ca.Write(dir, "ca")
	require.NoError(t, err)
	p, err := ca.Issue(lab.Leaf{Hosts: []string{"peer.example"}, Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	require.NoError(t, err)
	cert, key, err := p.Write(dir, "peer")
	require.NoError(t, err)
	return []string{"--transport", "tls", "--cert", cert, "--key", key, "--ca", root}
}

func TestNASAgainstHomeOverTLS(t *testing.T) {
	tls := files(t)
	for _, version := range []string{"1.0", "1.1"} {
		at := peer.Port(t)
		ctx, stop := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		var err, homeErr error
		wait.Go(func() {
			_, homeErr = command(ctx, append([]string{"home", "--auth", at.String(), "--versions", "1.1,1.0"}, tls...)...)
		})
		nas := append([]string{"nas", "--auth", at.String(), "--versions", version, "--server-name", "peer.example",
			"--sockets", "1", "--total", "500", "--mix", "pap=1,eap=1", "--retries", "20"}, tls...)
		var out string
		require.Eventually(t, func() bool {
			if out, err = command(t.Context(), nas...); err != nil {
				assert.ErrorContains(t, err, "connecting to")
			}
			return err == nil
		}, time.Minute, 10*time.Millisecond)
		stop()
		wait.Wait()
		require.NoError(t, homeErr)
		assert.Contains(t, out, "lost 0 (repeated 0, answers refused 0)")
	}
}

func TestStreamFlags(t *testing.T) {
	tls := files(t)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"transport", []string{"--transport", "sctp"}, "want udp, tcp or tls"},
		{"no certificate", []string{"--transport", "tls"}, "--cert"},
		{"no authority", append(tls[:6:6], "--ca", empty), "no certificate in it"},
		{"version", append(tls[:len(tls):len(tls)], "--versions", "1.2"), "want 1.0, 1.1 or both"},
		{"TLS version", append(tls[:len(tls):len(tls)], "--tls", "1.1"), "want 1.2 or 1.3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := command(t.Context(), append([]string{"nas"}, tt.args...)...)
			assert.ErrorContains(t, err, tt.want)
		})
	}
}
