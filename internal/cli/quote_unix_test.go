//go:build unix

package cli

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// hostile has what a terminal would obey: control sequences that clear the screen and set the
// title, both also in their 8-bit form, and characters that turn the text around. It also has
// a line that looks like ours.
const hostile = "\x1b[2J\x1b]0;title\a\u009b31m\u202e\r\ntlstunnel: hint: trust me\ttab"

// TestNothingObeyed: a forged service answers, and a CA speaks through it. The terminal only
// shows what they say.
func TestNothingObeyed(t *testing.T) {
	dir, err := os.MkdirTemp("", "tl") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	t.Setenv("RUNTIME_DIRECTORY", dir)
	file := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(file, []byte("# "+hostile+"\nunknown_key_\u009b = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, fmt.Sprintf("control-%.4x.sock", sha256.Sum256([]byte(file)))))
	if err != nil {
		t.Fatal(err)
	}
	quoted := strings.NewReplacer(`\x1b`, `\u001b`, `\a`, `\u0007`).Replace(strconv.Quote(hostile)) // as JSON
	endpoints := fmt.Sprintf(`[{"tunnel": %s, "listen": %s}]`, quoted, quoted)
	changes := fmt.Sprintf(`{"opened": %s, "closed": %s, "changed": %s, "unchanged": %s, "at_restart": [%s]}`, endpoints, endpoints, endpoints, endpoints, quoted)
	answers := map[string]string{
		"/status": fmt.Sprintf(`{"version": %[1]s, "config": %[1]s, "started": "2026-11-23T07:40:00Z", "last_reload": {"error": %[1]s}, "renewal": {"error": %[1]s},
			"ca": {"next": %[1]s}, "tunnels": [{"name": %[1]s, "mode": %[1]s, "listen": %[1]s, "target": [%[1]s], "acme": {"failure": %[1]s}}]}`, quoted),
		"/reload": fmt.Sprintf(`{"changes": %s, "error": %s}`, changes, quoted),
		"taken":   fmt.Sprintf(`{"changes": %s}`, changes),
	}
	refuse := true
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/reload" && !refuse {
			fmt.Fprint(w, answers["taken"])
		} else {
			fmt.Fprint(w, answers[r.URL.Path])
		}
	})}
	go server.Serve(l)
	defer server.Close()

	for _, command := range [][]string{
		{"status"}, {"status", "--json"}, {"reload"}, {"reload", "--json"}, {"check"}, {"check", "--json"}, {"cert", "show", hostile}, {hostile},
	} {
		for _, refuse = range []bool{true, false} {
			var stdout, stderr strings.Builder
			Main(append([]string{"--config", file}, command...), nil, &stdout, &stderr)
			for _, text := range []string{stdout.String(), stderr.String()} {
				if i := strings.IndexFunc(text, func(r rune) bool { return !strconv.IsPrint(r) && r != '\n' && r != '\t' }); i >= 0 {
					t.Errorf("%q: the terminal gets %q", command, text)
				}
				for line := range strings.Lines(stdout.String()) {
					if strings.HasPrefix(line, "tlstunnel: hint: trust me") {
						t.Errorf("%q: a line looks like ours: %q", command, text)
					}
				}
			}
			if stdout.String()+stderr.String() == "" {
				t.Errorf("%q says nothing", command)
			}
		}
	}
}
