package peer

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Postgres is a running PostgreSQL server that syncs every commit.
type Postgres struct {
	*Process
	Addr netip.AddrPort

	t       testing.TB
	bin     string
	dir     string
	user    *syscall.Credential // nil: ours
	created int
}

// StartPostgres makes a cluster of its own and starts the server.
func StartPostgres(t testing.TB) *Postgres {
	t.Helper()
	p := &Postgres{t: t, Addr: Port(t), bin: postgresBin(t), dir: filepath.Join(t.TempDir(), "data")}
	require.NoError(t, os.Mkdir(p.dir, 0o700))
	if os.Getuid() == 0 {
		p.owner()
	}
	out, err := p.command("initdb", "--pgdata", p.dir, "--username", "test", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--no-sync").CombinedOutput()
	require.NoError(t, err, "initdb: %s", out)
	p.Restart()
	return p
}

// postgresBin finds the programs, which Debian keeps out of the path.
func postgresBin(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	require.NoError(t, err)
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1])
	}
	Need(t, "postgres")
	path, err := exec.LookPath("postgres")
	require.NoError(t, err)
	return filepath.Dir(path)
}

// owner gives the directory to somebody who is not root, as the server
// refuses to run as root.
func (p *Postgres) owner() {
	p.t.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.Atoi(u.Uid)
		gid, errGID := strconv.Atoi(u.Gid)
		if errUID == nil && errGID == nil {
			// The folders above are the test's own.
			require.NoError(p.t, os.Chmod(filepath.Dir(filepath.Dir(p.dir)), 0o755))
			require.NoError(p.t, os.Chown(p.dir, uid, gid))
			p.user = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
			return
		}
	}
	p.t.Fatal("there is no user to run PostgreSQL as")
}

func (p *Postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir = "/"
	if p.user != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.user}
	}
	return cmd
}

// Restart starts the server again at the same address after Kill or Stop.
func (p *Postgres) Restart() {
	p.t.Helper()
	p.Process = Start(p.t, "postgres", p.command("postgres", "-D", p.dir,
		"-c", "listen_addresses="+p.Addr.Addr().String(), "-p", fmt.Sprint(p.Addr.Port()),
		"-c", "unix_socket_directories=", "-c", "shared_buffers=128MB", "-c", "recovery_init_sync_method=syncfs", "-c", "max_connections=50"))
	p.ready(func() error { _, err := p.psql("SELECT 1"); return err })
}

// Do runs one statement in the schema of a connection string.
func (p *Postgres) Do(where, sql string) {
	p.t.Helper()
	_, schema, _ := strings.Cut(where, "search_path=")
	_, err := p.psql("SET search_path = " + schema + "; " + sql)
	require.NoError(p.t, err)
}

// psql runs one statement and returns what it prints.
func (p *Postgres) psql(sql string) (string, error) {
	out, err := p.command("psql", "-X", "-A", "-t", "-q", "-h", p.Addr.Addr().String(), "-p", fmt.Sprint(p.Addr.Port()),
		"-U", "test", "-d", "postgres", "-c", sql).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("psql: %w: %s", err, out)
	}
	return strings.TrimSpace(string(out)), err
}

// Schema makes an empty schema and returns a connection string that has it
// alone in its search_path.
func (p *Postgres) Schema() string {
	p.t.Helper()
	p.created++
	name := fmt.Sprintf("test%d", p.created)
	_, err := p.psql("CREATE SCHEMA " + name)
	require.NoError(p.t, err)
	return fmt.Sprintf("postgres://test@%s/postgres?sslmode=disable&search_path=%s", p.Addr, name)
}
