package cli

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tlstunnel/internal/testkit"
)

// example is the config that init writes, which is the repository's example.
func example() []byte {
	data, err := os.ReadFile(os.Getenv("TLSTUNNEL_EXAMPLE"))
	if err != nil {
		panic(err)
	}
	return data
}

func init() { time.Local = time.UTC } // messages have local time

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tlstunnel": func() { os.Exit(Main(os.Args[1:], example(), os.Stdout, os.Stderr)) },
		// unprivileged is the same program without an administrator's rights.
		"unprivileged": func() {
			if err := dropRights(); err != nil {
				panic(err)
			}
			os.Exit(Main(os.Args[1:], example(), os.Stdout, os.Stderr))
		},
	})
}

// TestScripts runs the program as a user does: each script in testdata/script
// is one story.
func TestScripts(t *testing.T) {
	exampleFile, err := filepath.Abs("../../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("TLSTUNNEL_EXAMPLE", exampleFile)
			// Folders for the test alone, whichever user runs it.
			for _, v := range []string{"CONFIGURATION_DIRECTORY", "STATE_DIRECTORY", "LOGS_DIRECTORY"} {
				e.Setenv(v, filepath.Join(e.WorkDir, strings.ToLower(v)))
			}
			// The path of a socket must be shorter than 108 bytes.
			dir, err := os.MkdirTemp("", "tl")
			e.Defer(func() { os.RemoveAll(dir) })
			e.Setenv("RUNTIME_DIRECTORY", dir)
			return err
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "systemd":
				_, err := os.Stat("/run/systemd/system")
				return err == nil, nil
			case "root":
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    cmdExits,
			"freeport": cmdFreePort,
			"mkcert":   cmdMkcert,
			"echo":     cmdEcho,
			"talk":     cmdTalk,
			"await":    cmdAwait,
			"envsubst": cmdEnvsubst,
			"listen":   cmdListen,
			"halve":    cmdHalve,
		},
	})
}

// exits CODE PROGRAM ARG... runs the program, which must end with the code. Its
// output goes to the files stdout and stderr.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// freeport VAR... sets each variable to a port of its own that is free.
func cmdFreePort(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer l.Close() // closed only at the end, so that no two ports are the same
		ts.Setenv(name, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
}

// mkcert NAME DAYS writes NAME.crt and NAME.key, and NAME.pem with both. The certificate is
// self-signed. It lasts a year and ends in DAYS days.
func cmdMkcert(ts *testscript.TestScript, neg bool, args []string) {
	days, err := strconv.Atoi(args[1])
	ts.Check(err)
	end := time.Now().Add(time.Duration(days)*24*time.Hour + time.Minute)
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: args[0]},
		DNSNames:    []string{args[0]},
		NotBefore:   end.AddDate(-1, 0, 0),
		NotAfter:    end,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	made := testkit.Sign(template, testkit.NewKey(), nil)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".crt"), made.PEM(), 0o644))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".key"), made.KeyPEM(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pem"), slices.Concat(made.PEM(), made.KeyPEM()), 0o600))
}

// echo VAR starts an echo service for the length of the script and sets VAR to
// its address.
func cmdEcho(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	go serveEcho(l)
	ts.Setenv(args[0], l.Addr().String())
}

// listen ADDRESS takes a port for the length of the script.
func cmdListen(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.Listen("tcp", args[0])
	ts.Check(err)
	ts.Defer(func() { l.Close() })
}

// halve FILE NEW writes the first half of the file to NEW, as a broken download does.
func cmdHalve(ts *testscript.TestScript, neg bool, args []string) {
	text := ts.ReadFile(args[0])
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text[:len(text)/2]), 0o644))
}

// talk ADDRESS TEXT sends the text, ends the stream, and expects it back.
func cmdTalk(ts *testscript.TestScript, neg bool, args []string) {
	c, err := net.Dial("tcp", args[0])
	if neg && err != nil {
		return
	}
	ts.Check(err)
	defer c.Close()
	ts.Check(c.SetDeadline(time.Now().Add(10 * time.Second)))
	_, writeErr := io.WriteString(c, args[1])
	closeErr := c.(*net.TCPConn).CloseWrite() // fails after a reset
	got, err := io.ReadAll(c)
	err = errors.Join(writeErr, closeErr, err)
	if failed := err != nil || string(got) != args[1]; failed != neg {
		ts.Fatalf("sent %q, got %q, error %v", args[1], got, err)
	}
}

// await FILE REGEXP waits until a line of the file matches.
func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	want := regexp.MustCompile("(?m)" + args[1])
	var data []byte
	if !testkit.Reached(func() bool { data, _ = os.ReadFile(ts.MkAbs(args[0])); return want.Match(data) }) {
		ts.Fatalf("%s never matched %q:\n%s", args[0], args[1], data)
	}
}

// envsubst FILE... replaces ${VAR} in the files.
func cmdEnvsubst(ts *testscript.TestScript, neg bool, args []string) {
	for _, file := range args {
		text := os.Expand(ts.ReadFile(file), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o644))
	}
}
