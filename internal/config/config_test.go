package config

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
)

var update = flag.Bool("update", false, "write what is reported into the bad files")

// wantMark begins the lines at the end of a bad file that have the expected problems.
const wantMark = "#> "

func testFiles(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.toml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	return files
}

var readFile = testkit.ReadFile

func lines(problems Problems) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(wantMark + p.String() + "\n")
	}
	return b.String()
}

// TestBad has one file for each rule, with all problems that are reported.
func TestBad(t *testing.T) {
	for _, file := range testFiles(t, "bad") {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			text := strings.ReplaceAll(string(readFile(t, file)), "\r\n", "\n") // as git may have it on Windows
			want := ""
			if i := strings.Index(text, wantMark); i >= 0 {
				text, want = text[:i], text[i:]
			}
			cfg, problems := Parse(name, []byte(text))
			got := lines(problems)
			if *update {
				if err := os.WriteFile(file, []byte(text+got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
			if onlyWarnings := strings.HasPrefix(name, "warn-"); (problems.Err() == nil) != onlyWarnings {
				t.Errorf("Err() = %v", problems.Err())
			}
			if syntax := strings.HasPrefix(name, "syntax-"); (cfg == nil) != syntax {
				t.Errorf("got config %v", cfg)
			}
		})
	}
}

func TestGood(t *testing.T) {
	for _, file := range testFiles(t, "good") {
		if _, problems, err := Load(file); len(problems) > 0 || err != nil {
			t.Errorf("%s: %v\n%s", file, err, lines(problems))
		}
	}
}

func TestUTF16(t *testing.T) {
	want := "1:1: the file is saved as UTF-16: save it as UTF-8 (in Notepad: Save as, Encoding); the rest of the file is looked at once this is right"
	for _, text := range []string{"\xff\xfe[\x00", "\xfe\xff\x00[", "[\x00", "\x00["} {
		cfg, problems := Parse("f.toml", []byte(text))
		if cfg != nil || len(problems) != 1 || problems[0].String() != "f.toml:"+want {
			t.Errorf("Parse(%q) = %v, %v", text, cfg, problems)
		}
	}
}

func TestFull(t *testing.T) {
	cfg, _, err := Load("testdata/good/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs("testdata/good")
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	want := &Config{
		File: in("full.toml"),
		Log:  Log{Level: "debug", Format: "json", File: "-", MaxSize: 1 << 30},
		PKI: PKI{
			Dir:          in("own pki"),
			KeyType:      "rsa-4096",
			CAValidity:   36500 * day,
			CertValidity: 90 * time.Minute,
			Names:        []string{"pacs.clinic.example", "*.clinic.example", "10.0.0.5", "fe80::1", "pacs_1"},
			Subject:      Subject{Country: "DE", Email: "it@clinic.example"},
		},
		Tunnels: []Tunnel{{
			Name:       "pacs",
			Mode:       ModeServer,
			Listen:     "[::1]:0",
			Target:     []string{"127.0.0.1:104", "[::1]:104", "localhost:104"},
			Cert:       in("certs/pacs.crt"),
			Key:        in("certs/pacs.key"),
			ClientAuth: "require",
			ClientCA:   []string{Own, in("ca.crt")},
			Allow: []Rule{{"cn", "modality-*"}, {"dns", "*.Clinic.example"}, {"uri", "spiffe://clinic.example/*"}, {"email", "*@clinic.example"},
				{"ou", "Röntgen"}, {"o", "Clinic, Inc.: *"}, {"sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}},
			CRL:         []string{in("certs/ca.crl")},
			CRLExpired:  "warn",
			Profile:     "modern",
			ALPN:        []string{"h2"},
			CloseNotify: "require",
			AllowFrom: []netip.Prefix{
				netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.168.1.7/32"),
				netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("::1/128"),
			},
			DenyFrom:            []netip.Prefix{netip.MustParsePrefix("10.1.1.0/24")},
			MaxConnections:      1000,
			MaxConnectionsPerIP: 10,
			HandshakeTimeout:    500 * time.Millisecond,
			ConnectTimeout:      time.Hour,
			IdleTimeout:         12 * time.Hour,
			HalfCloseTimeout:    year + 2*day + 3*time.Hour + 4*time.Minute + 5*time.Second + 6*time.Millisecond,
		}},
	}
	got := *cfg
	got.positions, got.wrong = positions{}, nil
	got.Tunnels = got.Tunnels[:1]
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("got  %+v\nwant %+v", &got, want)
	}
	if got := cfg.Tunnels[1].CA; !slices.Equal(got, []string{Own}) {
		t.Errorf("ca = %q", got)
	}
}

func TestDefaults(t *testing.T) {
	cfg, problems, err := Load("testdata/good/server.toml")
	if err != nil || problems.Err() != nil {
		t.Fatal(err, problems)
	}
	want := defaults()
	want.Log.File, want.PKI.Dir = DefaultPaths().Log, DefaultPaths().PKI
	if cfg.ShutdownGrace != want.ShutdownGrace || cfg.Log != want.Log || !reflect.DeepEqual(cfg.PKI, want.PKI) {
		t.Errorf("got %+v\nwant %+v", cfg, want)
	}
	text := string(readFile(t, "testdata/good/server.toml")) + "client_auth = \"require\"\n"
	cfg, problems = Parse("f.toml", []byte(text))
	if problems != nil || !slices.Equal(cfg.Tunnels[0].ClientCA, []string{Own}) {
		t.Errorf("client_ca = %q; %v", cfg.Tunnels[0].ClientCA, problems)
	}
}

// TestBrokenFiles checks that a file name with an error doesn't become another name, is known
// to be wrong, and is reported once.
func TestBrokenFiles(t *testing.T) {
	for _, tt := range []struct {
		keys string
		want int // problems
	}{
		{`key = "/a.key"`, 1},
		{`cert = "/a.crt"; key = "/\t.key"`, 1},
		{`cert = "/\t.crt"; key = "/a.key"`, 1},
		{`cert = "/\t.crt"; key = "/\t.key"`, 2},
		{`cert = 5; key = "/a.key"`, 1},
		{`cert = "“/a.crt”"; key = "/a.key"`, 1},
		{`client_auth = "require"; client_ca = ["/\t.crt", "own"]`, 1},
		{`client_auth = "require"; crl = ["/\t.crl", "/a.crl"]`, 1},
		{`acme = { domains = "a.example", directory_ca = "/\t.crt" }`, 1},
	} {
		text := string(readFile(t, "testdata/good/server.toml")) + strings.ReplaceAll(tt.keys, "; ", "\n") + "\n"
		cfg, problems := Parse("f.toml", []byte(text))
		wrong := slices.ContainsFunc([]string{"cert", "key", "client_ca[0]", "crl[0]", "acme"}, func(key string) bool { return cfg.IsWrong(0, key) })
		if !wrong || cfg.IsWrong(0, "listen") || cfg.IsWrong(0, "client_ca[1]") || !cfg.IsBroken(0) || len(problems) != tt.want || cfg.Err() == nil {
			t.Errorf("%s: got problems:\n%s", tt.keys, lines(problems))
		}
	}
	text := string(readFile(t, "testdata/good/client.toml")) + `ca = ["/\t.crt", "own"]` + "\n"
	cfg, problems := Parse("f.toml", []byte(text))
	if got := cfg.Tunnels[0].CA; !slices.Equal(got, []string{"/\t.crt", Own}) || len(problems) != 1 || !cfg.IsWrong(0, "ca[0]") || cfg.IsWrong(0, "ca[1]") {
		t.Errorf("got ca %q, problems:\n%s", got, lines(problems))
	}
}

// TestBroken checks that a mistake in a tunnel counts for that tunnel, and a mistake outside
// counts for all.
func TestBroken(t *testing.T) {
	good := "[[tunnel]]\nname = 'a'\nmode = 'server'\nlisten = ':1'\ntarget = '127.0.0.1:9'\n"
	bad := strings.NewReplacer("'a'", "'b'", "':1'", "':x'").Replace(good)
	for _, tt := range []struct {
		text        string
		first, last bool
	}{
		{good, false, false},
		{good + bad, false, true},
		{bad + good, true, false},
		{"watch = 1\n" + good + good, true, true},
		{"[log]\nlevl = 'info'\n" + good, true, true},
	} {
		cfg, _ := Parse("f.toml", []byte(tt.text))
		if cfg.IsBroken(0) != tt.first || cfg.IsBroken(len(cfg.Tunnels)-1) != tt.last {
			t.Errorf("%s: got %v and %v", tt.text, cfg.IsBroken(0), cfg.IsBroken(len(cfg.Tunnels)-1))
		}
	}
}

// TestPins: all ways to write a pin lead to the same form.
func TestPins(t *testing.T) {
	const want = "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	for _, pin := range []string{
		want,
		strings.TrimSuffix(want, "="),
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"sha256:E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55",
	} {
		text := string(readFile(t, "testdata/good/client.toml")) + fmt.Sprintf("pins = %q\n", pin)
		cfg, problems := Parse("f.toml", []byte(text))
		if got := cfg.Tunnels[0].Pins; problems.Err() != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("%s: got %q, %v", pin, got, problems)
		}
	}
}

// TestOwnCertificate: a client tunnel has to ask for our own certificate. In a server tunnel,
// it is the default.
func TestOwnCertificate(t *testing.T) {
	for file, want := range map[string]string{"client": Own, "server": ""} {
		text := string(readFile(t, "testdata/good/"+file+".toml")) + "cert = 'own'\n"
		cfg, problems := Parse("f.toml", []byte(text))
		if got := cfg.Tunnels[0]; problems.Err() != nil || got.Cert != want || got.Key != "" {
			t.Errorf("%s: got cert %q, key %q, %v", file, got.Cert, got.Key, problems)
		}
	}
}

// TestLogFileElsewhere checks that no line goes to a file that can't be the log. The reason
// why the service doesn't start is logged too.
func TestLogFileElsewhere(t *testing.T) {
	text := string(readFile(t, "testdata/good/server.toml"))
	log := DefaultPaths().Log
	for _, tt := range []struct{ file, keys, want string }{
		{"f.toml", "log.file = 'f.toml'", log},
		{"f.toml", "log.file = 'pki/a'\npki.dir = 'pki'", log},
		{"f.toml", "log.file = 'pki'\npki.dir = 'pki'", log},
		{log, "log.file = '" + log + "'", Console},
		{"f.toml", "pki.dir = '" + filepath.Dir(log) + "'", Console},
	} {
		cfg, problems := Parse(tt.file, []byte(tt.keys+"\n"+text))
		if cfg.Log.File != tt.want || problems.Err() == nil {
			t.Errorf("%s: got log file %s, want %s, and problems:\n%s", tt.keys, cfg.Log.File, tt.want, lines(problems))
		}
	}
	for _, keys := range []string{"log.file = 'pki/log/a'\npki.dir = 'pki'", "log.file = 'f.toml.log'", "log.file = '-'\npki.dir = '.'"} {
		if _, problems := Parse("f.toml", []byte(keys+"\n"+text)); problems != nil {
			t.Errorf("%s: got problems:\n%s", keys, lines(problems))
		}
	}
}

// TestManyProblems: of very many problems, the rest is only counted. Errors don't push out
// warnings, and warnings don't push out errors.
func TestManyProblems(t *testing.T) {
	var b strings.Builder
	for i := range 150 {
		fmt.Fprintf(&b, "[[tunnel]]\nname='t%d'\nmode='server'\nlisten=':%d'\ntarget='10.0.0.1:1'\nwrong%d=1\n", i, i+1, i)
	}
	_, problems := Parse("f.toml", []byte(b.String()))
	if len(problems) != 202 {
		t.Fatalf("got %d problems, want 202", len(problems))
	}
	for i, want := range map[int]string{
		0:   `f.toml:5:1: tunnel "t0": warning: target "10.0.0.1:1" isn't on this machine: the bytes go there in plain text, over the network`,
		199: `f.toml:600:1: tunnel "t99": unknown key "wrong99"`,
		200: "f.toml:605:1: warning: and 50 more, from here on",
		201: "f.toml:606:1: and 50 more, from here on",
	} {
		if got := problems[i].String(); !strings.HasPrefix(got, want) {
			t.Errorf("problem %d: got %s, want %s", i, got, want)
		}
	}
}

// TestLargeFiles loads files that aren't configs, half as large as a config may be. Time and
// memory stay bounded.
func TestLargeFiles(t *testing.T) {
	const size = maxFile / 2
	fill := func(start, piece, end string) string {
		return start + strings.Repeat(piece, (size-len(start)-len(end))/len(piece)) + end
	}
	numbered := func(start, format string) string {
		var b strings.Builder
		for i := 0; b.Len() < size-len(start)-100; i++ {
			fmt.Fprintf(&b, format, i, i%60000+1, i/60000)
		}
		return start + b.String()
	}
	name := strings.Repeat("x", size/2)
	for kind, text := range map[string]string{
		"bad networks":       fill("[[tunnel]]\nallow_from = [", `"",`, "]"),
		"keys out of place":  fill("tunnel = [", "{level=1},", "]"),
		"one address":        fill("[[tunnel]]\nname = '"+name+"'\nlisten = ':1'\n", "[[tunnel]]\nlisten=':1'\n", ""),
		"many addresses":     numbered("", "[[tunnel]]\nname='%[1]d'\nlisten='10.0.%[1]d.%[2]d:1'\n"),
		"loops":              numbered("", "[[tunnel]]\nlisten='127.0.0.1:%[2]d'\ntarget=['127.0.0.1:1','127.0.0.1:1%[2]d']\n"),
		"unknown keys":       numbered("["+strings.Repeat("x", maxPath-10)+"]\n", "k%d=%d%d\n"),
		"deep tables":        fill("a = ", "{a=", ""),
		"deep lists":         fill("a = ", "[", ""),
		"deep names":         fill("a", ".a", " = 1"),
		"deep line in text":  fill("a = '''\na = [“”,", "{a=", "''' 1"),
		"long name of table": numbered("["+name+"]\n", "k%d=%d%d\n"),
	} {
		t.Run(kind, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := cpuTime()
			_, problems := Parse("f.toml", []byte(text))
			took := cpuTime() - start
			runtime.ReadMemStats(&after)
			if took > 30*time.Second { // of processor time, for the race detector; other programs don't count
				t.Errorf("took %v", took)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 400 { // bytes allocated in all; far less is in use at a time
				t.Errorf("allocated %d MiB", used)
			}
			if problems.Err() == nil || len(problems) > 2*maxProblems+2 {
				t.Errorf("got %d problems", len(problems))
			}
		})
	}
}

// TestDepth nests up to the limit and beyond.
func TestDepth(t *testing.T) {
	nest := func(n int, open, shut string) string {
		return "a = " + strings.Repeat(open, n) + "1" + strings.Repeat(shut, n)
	}
	for _, tt := range []struct {
		text string
		deep bool
	}{
		{nest(19, "[", "]"), false},
		{nest(20, "[", "]"), true},
		{nest(19, "{a=", "}"), false},
		{nest(20, "{a=", "}"), true},
		{"[" + strings.Repeat("a.", 18) + "b]\n" + "c = 1\nd = 1", false},
		{"[" + strings.Repeat("a.", 19) + "b]\n" + "c = 1", true},
		{"[[" + strings.Repeat("a.", 19) + "b]]\n" + "c = 1", true},
		{strings.Repeat("a.", 20) + "b = 1", true},
		{"a = '''" + nest(30, "[", "]") + "'''", false},
		{"# " + nest(30, "[", "]"), false},
		{"a = [" + strings.Repeat("{a=[1]},", 30) + "]\n" + strings.Repeat("[[b.c]]\nd.e = 1\n", 30), false},
		{strings.Repeat("x", maxPath) + " = 1", false},
		{strings.Repeat("x", maxPath+1) + " = 1", true},
	} {
		cfg, problems := Parse("f.toml", []byte(tt.text))
		if deep := cfg == nil; deep != tt.deep {
			t.Errorf("%s: got\n%s", tt.text, lines(problems))
		}
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large.toml")
	if err := os.WriteFile(large, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing.toml")
	tests := []struct{ file, want string }{
		{missing, "; `tlstunnel init` writes one, `--config FILE` names another"},
		{dir, "this is a folder; name the file in it, such as "},
		{large, "it is larger than 1 MiB; is it the right file?"},
	}
	secret := filepath.Join(dir, "secret.toml")
	if err := os.WriteFile(secret, nil, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(secret); errors.Is(err, fs.ErrPermission) { // not for root, nor on Windows
		tests = append(tests, struct{ file, want string }{secret, "; run as an administrator (root), or let the user " + userName() + " read it"})
	}
	for _, tt := range tests {
		cfg, problems, err := Load(tt.file)
		if cfg != nil || problems != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Load(%q) = %v, %v, %v; want %q", tt.file, cfg, problems, err, tt.want)
		}
	}
	if _, _, err := Load(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

func TestConfigProblem(t *testing.T) {
	cfg, _, err := Load("testdata/good/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		tunnel int
		key    string
		want   string
	}{
		{0, "cert", `testdata/good/full.toml:19:1: tunnel "pacs": x`},
		{0, "target[1]", `testdata/good/full.toml:17:28: tunnel "pacs": x`},
		{1, "key", `testdata/good/full.toml:39:3: tunnel "to-clinic-b": x`}, // its table
		{1, "ca[0]", `testdata/good/full.toml:46:1: tunnel "to-clinic-b": x`},
		{-1, "pki.dir", "testdata/good/full.toml:5:1: x"},
		{-1, "log.level", "testdata/good/full.toml:2:9: x"},
		{-1, "pki.subject.state", "testdata/good/full.toml:10:1: x"},
		{-1, "nothing", "testdata/good/full.toml:1:1: x"},
		{7, "cert", "testdata/good/full.toml:13:3: x"}, // the first one
	}
	for _, tt := range tests {
		if got := cfg.Problem(tt.tunnel, tt.key, "x").String(); got != tt.want {
			t.Errorf("Problem(%d, %q)\ngot  %s\nwant %s", tt.tunnel, tt.key, got, tt.want)
		}
	}
	if got := new(Config).Problem(0, "cert", "x").String(); got != ":1:1: x" {
		t.Errorf("zero config: %s", got)
	}
}

func TestErr(t *testing.T) {
	ps := Problems{{File: "f", Line: 2, Col: 1, Text: "b"}, {File: "f", Line: 1, Col: 9, Text: "a", Warning: true}, {File: "f", Line: 1, Col: 2, Text: "c"}}
	ps.Sort()
	if got, want := lines(ps), "#> f:1:2: c\n#> f:1:9: warning: a\n#> f:2:1: b\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := ps.Err().Error(), "f:1:2: c\nf:2:1: b"; got != want {
		t.Errorf("Err() = %q, want %q", got, want)
	}
	if err := ps[1:2].Err(); err != nil {
		t.Errorf("a warning is an error: %v", err)
	}
}

// TestNamesWithDot: a dot at the end of a name keeps the resolver from adding a search
// domain. The target keeps the dot, and names in certificates have none.
func TestNamesWithDot(t *testing.T) {
	cfg, problems := Parse("c.toml", []byte(`
pki.names = ["pacs.clinic.example.", "*.clinic.example."]
[[tunnel]]
name = "pacs"
mode = "client"
listen = "localhost.:11112"
target = "pacs.clinic.example.:2762"
server_name = "PACS.clinic.example."
[[tunnel]]
name = "loop"
mode = "server"
listen = "127.0.0.1:2762"
target = "localhost.:2762"
`))
	if got, want := lines(problems), "#> c.toml:13:1: tunnel \"loop\": target \"localhost.:2762\" is what this tunnel itself listens on: it would connect to itself for ever\n"; got != want {
		t.Errorf("got %swant %s", got, want)
	}
	pacs := cfg.Tunnels[0]
	if !slices.Equal(cfg.PKI.Names, []string{"pacs.clinic.example", "*.clinic.example"}) || pacs.ServerName != "PACS.clinic.example" || pacs.Target[0] != "pacs.clinic.example.:2762" {
		t.Errorf("got %q, %q and %q", cfg.PKI.Names, pacs.ServerName, pacs.Target)
	}
}
