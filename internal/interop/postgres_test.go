//go:build linux

package interop

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// postgres is a throw-away PostgreSQL server on loopback.
type postgres struct {
	*program
	addr string
}

// startPostgres makes a cluster and starts its server.
func startPostgres(t *testing.T) postgres {
	t.Helper()
	initdb := need(t, "initdb")
	// The folders of t.TempDir let only their owner in, and the owner may be another user
	// than the server's.
	dir, err := os.MkdirTemp("", "interop-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	credential := unprivileged(t)
	if credential != nil {
		if err := os.Chown(dir, int(credential.Uid), int(credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	command := func(path string, args ...string) *exec.Cmd {
		cmd := exec.Command(path, args...)
		cmd.Dir = dir
		cmd.Env = []string{"LC_ALL=C", "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
		return cmd
	}

	data := filepath.Join(dir, "data")
	start(t, command(initdb, "-D", data, "-U", "interop", "-A", "trust", "-E", "UTF8", "--no-sync")).waitExit(t)
	// initdb works for one version only, so the server has to be of that version.
	real, err := filepath.EvalSymlinks(initdb)
	if err != nil {
		t.Fatal(err)
	}
	server := filepath.Join(filepath.Dir(real), "postgres")
	p, addr := startListening(t, func(address string) *exec.Cmd {
		host, port, _ := net.SplitHostPort(address)
		return command(server, "-D", data, "-k", dir, "-h", host, "-p", port, "-c", "fsync=off", "-c", "max_connections=10")
	})
	t.Cleanup(func() { _ = p.stop(syscall.SIGINT) }) // SIGTERM would wait for its clients
	p.waitFor(t, "ready to accept connections")
	return postgres{p, addr}
}

// unprivileged is the user for PostgreSQL if root runs the test, because PostgreSQL refuses
// to run as root. It is nil for other users.
func unprivileged(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// psqlCommand is a psql that connects through the tunnels without TLS of its own.
func psqlCommand(t *testing.T, address string, args ...string) *exec.Cmd {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), need(t, "psql"), append([]string{"-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
		fmt.Sprintf("host=%s port=%s user=interop dbname=postgres sslmode=disable connect_timeout=10", host, port)}, args...)...)
	cmd.Env = []string{"LC_ALL=C", "HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	return cmd
}

// query runs a statement, with stdin for a COPY, and returns the answer.
func query(t *testing.T, address, statement string, stdin []byte) []byte {
	t.Helper()
	var answer, complaints bytes.Buffer
	cmd := psqlCommand(t, address, "-c", statement)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &answer, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("psql %q: %v\n%s", statement, err, complaints.String())
	}
	return answer.Bytes()
}

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	need(t, "psql")
	db := startPostgres(t)
	tuns := startPair(t, db.addr)
	addr := tuns.client.addr

	if got := string(query(t, addr, "SELECT 6*7", nil)); got != "42\n" {
		t.Errorf("SELECT 6*7: got %q", got)
	}
	tuns.wantClosed(t)

	// 550,000 lines, 21 MB, made and summed up by the server.
	const sum = `SELECT md5(string_agg(n || E'\t' || text || E'\n', '' ORDER BY n)) FROM `
	want := strings.TrimSpace(string(query(t, db.addr,
		`CREATE TABLE source AS SELECT n, md5(n::text) AS text FROM generate_series(1, 550000) AS n; `+sum+`source`, nil)))

	table := query(t, addr, "COPY (SELECT * FROM source ORDER BY n) TO STDOUT", nil)
	if r, _ := tuns.wantClosed(t); r.ToPeer < int64(len(table)) {
		t.Errorf("log of the COPY: got %+v for %d bytes to the peer", r, len(table))
	}
	if got := fmt.Sprintf("%x", md5.Sum(table)); got != want || len(table) < 20<<20 {
		t.Errorf("COPY out: got %d bytes with MD5 %s, want %s", len(table), got, want)
	}

	query(t, db.addr, "CREATE TABLE copy (n int, text text)", nil)
	query(t, addr, "COPY copy FROM STDIN", table)
	if r, _ := tuns.wantClosed(t); r.ToTarget < int64(len(table)) {
		t.Errorf("log of the COPY: got %+v for %d bytes to the target", r, len(table))
	}
	if got := strings.TrimSpace(string(query(t, db.addr, sum+"copy", nil))); got != want {
		t.Errorf("COPY in: the server's MD5 is %s, want %s", got, want)
	}
}

// A session stays open while others come and go, and gets their notifications.
func TestPostgreSQLNotify(t *testing.T) {
	t.Parallel()
	need(t, "psql")
	db := startPostgres(t)
	tuns := startPair(t, db.addr)

	cmd := psqlCommand(t, tuns.client.addr)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	session := start(t, cmd)
	say := func(line string) {
		t.Helper()
		if _, err := io.WriteString(stdin, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	say("LISTEN images;")
	say("SELECT 'ready';")
	session.waitFor(t, `(?m)^ready$`)
	for i := range 3 {
		query(t, tuns.client.addr, fmt.Sprintf("NOTIFY images, 'number %d'", i), nil)
		tuns.wantClosed(t)
		say("SELECT 'awake';") // psql looks for notifications after a statement
		session.waitFor(t, fmt.Sprintf(`Asynchronous notification "images" with payload "number %d" received`, i))
	}
	say(`\q`)
	session.waitExit(t)
	tuns.wantClosed(t)
}
