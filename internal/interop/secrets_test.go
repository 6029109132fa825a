//go:build linux

package interop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// spy runs commands of tlstunnel in a folder, with umask 0. strace records every system call
// by which a secret can leave the process.
type spy struct {
	dir     string
	socket  string // the folder of the control socket
	traces  []string
	secrets map[string][]byte // by what they are
}

func newSpy(t *testing.T) *spy {
	t.Helper()
	if output, err := try(t, "strace", "-qq", "true"); err != nil { // as in some containers
		if os.Getenv("TLSTUNNEL_REQUIRE_INTEROP") == "1" {
			t.Fatalf("strace can't trace: %s", output)
		}
		t.Skipf("strace can't trace: %s", output)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	socket, err := os.MkdirTemp("", "tl") // its path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(socket) })
	return &spy{dir: dir, socket: socket, secrets: map[string][]byte{}}
}

func (s *spy) file(name string) string { return filepath.Join(s.dir, name) }

// command is a command that isn't started yet.
func (s *spy) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	const calls = "execve,write,writev,?pwrite64,?pwritev,?pwritev2,sendto,sendmsg,?sendmmsg," +
		"?open,?creat,openat,?openat2,?chmod,fchmod,fchmodat,?fchmodat2"
	trace := filepath.Join(t.TempDir(), "trace")
	s.traces = append(s.traces, trace)
	args = append([]string{"-f", "--seccomp-bpf", "-qq", "-y", "-xx", "-s", "1000000", "-I", "2", "-e", "signal=none", "-e", "trace=" + calls, "-o", trace,
		"sh", "-c", `umask 0; exec "$0" "$@"`, executable(t)}, args...)
	cmd := exec.Command(need(t, "strace"), args...)
	cmd.Dir = s.dir
	// strace can read the memory of a process only if the process allows that. With
	// GOTRACEBACK=crash, tlstunnel does.
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash", asTlstunnel+"=1", "RUNTIME_DIRECTORY="+s.socket, "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	return cmd
}

// do runs a command to its end and checks its exit code.
func (s *spy) do(t *testing.T, code int, stdin *os.File, args ...string) (output string) {
	t.Helper()
	cmd := s.command(t, args...)
	if stdin != nil { // a nil *os.File isn't no reader
		cmd.Stdin = stdin
	}
	text, err := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("%q: got exit code %d (%v), want %d: %s", args, got, err, code, text)
	}
	s.learn(t)
	return string(text)
}

// serve starts the service. The returned function ends the service, not strace, and waits for
// both.
func (s *spy) serve(t *testing.T) (p *program, stop func()) {
	t.Helper()
	p = start(t, s.command(t, "run", "--config", "config.toml"))
	trace := s.traces[len(s.traces)-1]
	return p, func() {
		t.Helper()
		text, _, _ := strings.Cut(string(readFile(t, trace)), " ")
		pid, err := strconv.Atoi(text)
		if err == nil {
			err = syscall.Kill(pid, syscall.SIGTERM)
		}
		if err != nil {
			t.Fatal(err)
		}
		p.waitExit(t)
	}
}

// learn remembers the private keys that are in the folder now.
func (s *spy) learn(t *testing.T) {
	t.Helper()
	s.walk(t, func(file string, _ fs.FileInfo, data []byte) {
		for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
			if block.Type != "PRIVATE KEY" {
				continue
			}
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				continue // this copy is damaged, and another file has all of it
			}
			number, lines := []byte(nil), 0 // of the text, that have the number in them
			switch key := key.(type) {
			case *ecdsa.PrivateKey:
				number, err = key.Bytes()
				lines = 2
			case ed25519.PrivateKey:
				number, lines = key.Seed(), 1
			default:
				err = fmt.Errorf("a key of type %T", key)
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			what := "the key " + hex.EncodeToString(number[:4]) + ", first in " + file
			if s.knows(number) {
				continue
			}
			s.secrets[what] = number
			s.secrets[what+", in hex"] = []byte(hex.EncodeToString(number))
			for i, line := range bytes.Split(pem.EncodeToMemory(block), []byte("\n"))[1 : lines+1] {
				s.secrets[fmt.Sprintf("%s, line %d", what, i+1)] = line
			}
		}
	})
}

func (s *spy) knows(secret []byte) bool {
	for _, known := range s.secrets {
		if bytes.Equal(known, secret) {
			return true
		}
	}
	return false
}

func (s *spy) walk(t *testing.T, look func(file string, info fs.FileInfo, data []byte)) {
	t.Helper()
	err := filepath.WalkDir(s.dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(file)
		look(file, info, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// found names the secrets in data. Any private key is a secret, even if no file has it.
func (s *spy) found(data []byte) (what []string) {
	for name, secret := range s.secrets {
		if bytes.Contains(data, secret) {
			what = append(what, name)
		}
	}
	if bytes.Contains(data, []byte("PRIVATE KEY-----")) {
		what = append(what, "a private key")
	}
	return what
}

var (
	tracedCall  = regexp.MustCompile(`^\d+ +(\w+)\(`)
	tracedWrite = regexp.MustCompile(`^\d+ +write\((\d+)<([^>]*)>`)
	tracedOpen  = regexp.MustCompile(`^\d+ +open(?:at)?\((?:AT_FDCWD[^,]*, )?"([^"]*)", [A-Z_|]*O_CREAT[A-Z_|]*, (\d+)`)
	hexByte     = regexp.MustCompile(`\\x[0-9a-f]{2}`)
)

// plainText undoes the -xx of strace.
func plainText(traced string) string {
	return hexByte.ReplaceAllStringFunc(traced, func(b string) string {
		n, _ := strconv.ParseUint(b[2:], 16, 8)
		return string([]byte{byte(n)})
	})
}

// judge looks for the secrets in everything that the commands did, and in all files. A secret
// may be written to a file that was made with rights for its owner only, and nowhere else.
// The secret that is shown on purpose may be on stdout, once.
func (s *spy) judge(t *testing.T, shown string) {
	t.Helper()
	s.learn(t)
	written, timesShown := map[string]int{}, 0
	for _, trace := range s.traces {
		born := map[string]uint64{} // modes by path
		for line := range strings.Lines(string(readFile(t, trace))) {
			call := tracedCall.FindStringSubmatch(line)
			if call == nil {
				continue // the end of a call, whose begin has all
			}
			if m := tracedOpen.FindStringSubmatch(line); m != nil {
				path := plainText(m[1])
				if !filepath.IsAbs(path) {
					path = filepath.Join(s.dir, path)
				}
				born[path], _ = strconv.ParseUint(m[2], 8, 32)
			}
			text := plainText(line)
			if strings.Contains(call[1], "chmod") && !strings.Contains(text, s.socket) {
				t.Errorf("a file gets its mode after it was made: %s", text)
			}
			what := s.found([]byte(text))
			if shown != "" && strings.Contains(text, shown) {
				timesShown++
				if !strings.Contains(line, " write(1<") {
					what = append(what, "the generated password")
				}
			}
			if what == nil {
				continue
			}
			to := tracedWrite.FindStringSubmatch(line)
			if to == nil {
				t.Errorf("%s has %q", call[1], what)
				continue
			}
			path := plainText(to[2])
			written[filepath.Base(path)]++
			if mode, ok := born[path]; !ok || mode&0o077 != 0 {
				t.Errorf("%q is written to %s (descriptor %s, made with mode %04o)", what, path, to[1], mode)
			}
		}
	}
	if len(written) == 0 {
		t.Error("no file with a secret was written, so strace doesn't show the writes")
	}
	if shown != "" && timesShown != 1 {
		t.Errorf("the generated password was written %d times, want once", timesShown)
	}
	s.walk(t, func(file string, info fs.FileInfo, data []byte) {
		if what := s.found(data); what != nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v, and %q in it", file, info.Mode(), what)
		}
	})
}

// typing is a terminal on which the text has been typed.
func typing(t *testing.T, text string) *os.File {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	if _, err := io.WriteString(keyboard, text); err != nil {
		t.Fatal(err)
	}
	return terminal
}

// TestSecrets: whatever the commands do with private keys and passwords, also by mistake, a
// secret never appears in the output, a log, a command line or on a socket. Not for an
// instant is it in a file that others can read.
func TestSecrets(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	s := newSpy(t)
	const given, typed, wrong = "correct-horse-battery", "typed-on-a-terminal", "this-one-is-wrong"
	s.secrets["the given password"] = []byte(given)
	s.secrets["the typed password"] = []byte(typed)
	s.secrets["the wrong password"] = []byte(wrong)
	writeFile(t, s.dir, "password", given+"\n")
	writeFile(t, s.dir, "wrong", wrong+"\n")
	address := freeAddress(t)
	config := func(key, passwordFile string) string {
		return fmt.Sprintf(`
log = { file = "logs/t.log", level = "debug" }
pki.dir = "pki"
[[tunnel]]
name = "own"
mode = "server"
listen = %q
target = "127.0.0.1:1"
client_auth = "require"
[[tunnel]]
name = "installed"
mode = "server"
listen = "127.0.0.1:0"
target = "127.0.0.1:1"
cert = "installed.crt"
key = "installed.key"
[[tunnel]]
name = "encrypted"
mode = "server"
listen = "127.0.0.1:0"
target = "127.0.0.1:1"
cert = "given.crt"
key = %q
key_password_file = %q
`, address, key, passwordFile)
	}
	writeFile(t, s.dir, "config.toml", config("encrypted.key", "password"))
	done := func(args ...string) string {
		t.Helper()
		return s.do(t, 0, nil, append(args, "--config", "config.toml")...)
	}
	fails := func(args ...string) { t.Helper(); s.do(t, 1, nil, append(args, "--config", "config.toml")...) }

	done("init")
	issue := []string{"cert", "issue", "--client", "--server", "--dns", "pacs.example", "--p12", "--config", "config.toml"}
	s.do(t, 0, typing(t, typed+"\n"+typed+"\n"), append(issue, "typed")...)
	s.do(t, 1, typing(t, typed+"\n"+wrong+"\n"), append(issue, "differs")...)
	shown := regexp.MustCompile(`shown only now: (\S+)`).FindStringSubmatch(s.do(t, 0, nil, append(issue, "generated", "--generate-password")...))
	if shown == nil {
		t.Fatal("no generated password")
	}
	s.do(t, 0, nil, append(issue, "given", "--password-file", "password", "--key-type", "ed25519")...)
	run(t, "openssl", "pkcs8", "-topk8", "-in", s.file("given.key"), "-passout", "file:"+s.file("password"), "-out", s.file("encrypted.key"))
	writeFile(t, s.dir, "cut.p12", string(readFile(t, s.file("given.p12"))[:500]))
	key := string(readFile(t, s.file("typed.key")))
	writeFile(t, s.dir, "damaged.key", strings.Replace(key, "\nM", "\nN", 1))

	done("csr", "new", "request")
	done("csr", "sign", "request.csr", "--client", "--name", "signed", "--yes")
	fails("csr", "show", "request.key")
	done("cert", "show", "given.p12", "--password-file", "password")
	for _, file := range []string{"given.p12", "cut.p12", "damaged.key", "given.key", "encrypted.key"} {
		fails("cert", "show", file, "--password-file", "wrong")
	}
	done("cert", "show", "given.crt", "--json")
	fails("cert", "install", "given.p12", "--tunnel", "installed", "--password-file", "wrong")
	fails("cert", "install", "typed.crt", "--tunnel", "installed", "--key", "damaged.key")
	done("cert", "install", "typed.crt", "--tunnel", "installed", "--key", "typed.key")
	done("check")

	service, stop := s.serve(t)
	if !service.accepts(t, address) {
		t.Fatal("the service has ended")
	}
	done("status")
	done("cert", "install", "given.p12", "--tunnel", "installed", "--password-file", "password")
	done("cert", "renew", "--new-key")
	done("cert", "revoke", "signed")
	done("ca", "rotate")
	done("ca", "rotate", "--cancel")
	done("ca", "rotate")
	done("ca", "rotate", "--finish")
	done("ca", "export", "--out", "-")
	for _, mistake := range []string{
		config("damaged.key", "password"),
		config("encrypted.key", "wrong"),
		config("encrypted.key", given),
		config(key, "password"),
		config("encrypted.key", given) + "password = " + typed + "\n",
	} {
		writeFile(t, s.dir, "config.toml", mistake)
		fails("check")
		fails("reload")
	}
	fails("status")
	fails("run")
	writeFile(t, s.dir, "config.toml", config("encrypted.key", "password"))
	done("reload")
	done("status", "--json")
	stop()
	if log := string(readFile(t, s.file("logs/t.log"))); !strings.Contains(log, "refused") {
		t.Errorf("no reload was refused: %s", log)
	}
	os.Remove(s.file("password"))
	os.Remove(s.file("wrong"))
	s.judge(t, shown[1])
}

// TestSecretsACME: the secrets are the key that binds an account to a customer, and those
// made for the CA.
func TestSecretsACME(t *testing.T) {
	t.Parallel()
	const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	s := newSpy(t)
	s.secrets["the EAB key"] = []byte(key)
	s.secrets["the EAB key, decoded"], _ = base64.RawURLEncoding.DecodeString(key)
	p := preparePebble(t)
	p.config["externalAccountBindingRequired"] = true
	p.config["externalAccountMACKeys"] = map[string]string{"kid-1": key}
	tun := &tunnel{addr: freeAddress(t)}
	p.start(t, tun.addr, "127.0.0.1:1")
	writeFile(t, s.dir, "config.toml", fmt.Sprintf(`
log = { file = "-", format = "json", level = "debug" }
pki.dir = "pki"
[[tunnel]]
name = "pacs"
mode = "server"
listen = %q
target = "127.0.0.1:1"
%s
`, tun.addr, p.table(fmt.Sprintf(`, eab_kid = "kid-1", eab_key_file = %q`, writeFile(t, s.dir, "eab.key", key+"\n")))))
	s.do(t, 0, nil, "check", "--config", "config.toml")
	service, stop := s.serve(t)
	tun.program = service
	tun.waitRecords(t, acmeGot, 1)
	s.do(t, 0, nil, "status", "--json", "--config", "config.toml")
	stop()
	s.judge(t, "")
}
