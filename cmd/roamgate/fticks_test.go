package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/fticks"
)

func TestFTicksChecked(t *testing.T) {
	for _, c := range []struct{ name, section, want string }{
		{"word", "fticks: {reporting: all}", "fticks.reporting"},
		{"mac", "fticks: {mac: hashed}", "fticks.mac"},
		{"target", "fticks: {to: syslog}", `"syslog" is no target`},
		{"facility", "fticks: {facility: local9}", `"local9" is no facility`},
		{"file with a facility", "fticks: {to: \"file:x\", facility: user}", "a file has no facility"},
		{"no key", "fticks: {reporting: full}", "fticks.mac vendor_key_hashed wants a key (name its file with fticks.key_file"},
		{"key is gone", "fticks: {reporting: full, key_file: gone}", "reading the key of F-Ticks"},
		{"prefix", "fticks: {prefix: \"a\\nb\"}", "is not printable ASCII"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, path := configuration(t, map[string]string{"roamgate.yaml": c.section + "\n"})
			r := command("check", "--config", path)
			assert.Equal(t, exitProblem, r.code)
			assert.Contains(t, r.out, c.want)
			assert.Contains(t, r.out, "roamgate.yaml:1:")
		})
	}
}

// Every word of the file is taken for what it says.
func TestFTicksMade(t *testing.T) {
	dir, path := configuration(t, map[string]string{
		"roamgate.yaml": "fticks: {reporting: full, mac: fully_key_hashed, key_file: fticks.key, to: \"file:ticks.log\"}\n", "fticks.key": "k e y\n"})
	c, ps := loadConfig(path)
	require.Empty(t, ps)
	s := &server{conf: c, log: zap.NewNop()}
	tk, err := s.ticker()
	require.NoError(t, err)
	require.NotNil(t, tk)
	tk.Tick([]byte("bob@x.nl"), []byte("00-11"), "DE", "uni", true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tk.Run(ctx)
	got, err := os.ReadFile(filepath.Join(dir, "ticks.log"))
	require.NoError(t, err)
	assert.Regexp(t, `F-TICKS/eduroam/1\.0#REALM=x\.nl#VISCOUNTRY=DE#VISINST=uni#CSI=[0-9a-f]{64}#RESULT=OK#\n$`, string(got))
	assert.Equal(t, uint64(1), tk.Written())

	c.FTicks.Reporting = "none"
	tk, err = s.ticker()
	require.NoError(t, err)
	assert.Nil(t, tk)
	assert.Equal(t, map[string]fticks.Reporting{"none": fticks.None, "basic": fticks.Basic, "full": fticks.Full}, fticksReporting)
}
