package access

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tlstunnel/internal/config"
	"tlstunnel/internal/filerights"
	"tlstunnel/internal/testkit"
)

// The unit as systemctl shows it.
var ourUnit = map[string]string{
	"ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes",
	"StateDirectory": "tlstunnel", "LogsDirectory": "tlstunnel", "RuntimeDirectory": "tlstunnel",
	"ReadWritePaths": "-/srv/pki", "BindReadOnlyPaths": "/home/it/certs:/home/it/certs:rbind /srv/x:/tmp/shown:rbind", "InaccessiblePaths": "/mnt/secret",
}

func TestUnitView(t *testing.T) {
	v := viewOf(ourUnit)
	for _, tt := range []struct {
		path       string
		use        use
		refused    string // a part of the text
		propertyOf string
	}{
		{"/etc/tlstunnel/a.crt", toRead, "", ""},
		{"/home/bob/a.crt", toRead, "shows it no /home of this machine", "ProtectHome=yes"},
		{"/homes/bob/a.crt", toRead, "", ""},
		{"/home/it/certs/a.crt", toRead, "shows it no /home", "ProtectHome=tmpfs and BindReadOnlyPaths=/home/it/certs"},
		{"/tmp/shown/a.crt", toRead, "", ""},
		{"/tmp/shown/a.crt", toWrite, "lets it write elsewhere only", "ReadWritePaths=/tmp/shown/a.crt"},
		{"/tmp/shown-not/a.crt", toRead, "shows it no /tmp", "BindReadOnlyPaths=/tmp/shown-not"},
		{"/tmp/a.crt", toRead, "shows it no /tmp", "PrivateTmp=yes"},
		{"/var/tmp/a.crt", toOwn, "shows it no /var/tmp", "BindPaths=/var/tmp"},
		{"/mnt/secret/a", toRead, "shows it no /mnt/secret", "InaccessiblePaths=/mnt/secret"},
		{"/var/lib/tlstunnel/pki", toOwn, "", ""},
		{"/var/lib/tlstunnel2/pki", toOwn, "lets it write elsewhere only", "ReadWritePaths=/var/lib/tlstunnel2/pki"},
		{"/srv/pki", toOwn, "", ""},
		{"/srv/other", toOwn, "lets it write elsewhere only", "ReadWritePaths=/srv/other"},
		{"/srv/other", toRead, "", ""},
	} {
		got := v.refusal(tt.path, tt.use)
		if (got == "") != (tt.refused == "") || !strings.Contains(got, tt.refused) || !strings.Contains(got, tt.propertyOf) {
			t.Errorf("%s %s: got %q, want %q and %q", tt.use, tt.path, got, tt.refused, tt.propertyOf)
		}
	}
	tmpfs := viewOf(map[string]string{"ProtectHome": "tmpfs", "BindReadOnlyPaths": "/home/it/certs"})
	if tmpfs.refusal("/home/it/certs/a", toRead) != "" || tmpfs.refusal("/home/it/b", toRead) == "" {
		t.Error("a bind mount below a hidden folder counts for nothing, or for too much")
	}
	if got := viewOf(map[string]string{"ProtectHome": "read-only", "ProtectSystem": "full", "PrivateTmp": "no"}); got.refusal("/tmp/x", toWrite) != "" ||
		got.refusal("/etc/x", toRead) != "" || got.refusal("/etc/x", toWrite) == "" || got.refusal("/home/x", toRead) != "" || got.refusal("/home/x", toWrite) == "" || got.refusal("/srv", toWrite) != "" {
		t.Errorf("another unit: %+v", got)
	}
}

// TestLinkOutOfPKI: a link leads from the PKI's folder to a file that the unit hides. Showing
// that place is no remedy, because the service replaces its files.
func TestLinkOutOfPKI(t *testing.T) {
	top := t.TempDir()
	dir, hidden := filepath.Join(top, "pki"), filepath.Join(top, "hidden")
	for _, made := range []string{dir, hidden} {
		testkit.Check(t, os.Mkdir(made, 0o700))
	}
	crl, target := filepath.Join(dir, "ca.crl"), filepath.Join(hidden, "ca.crl")
	testkit.Check(t, os.WriteFile(target, []byte("x"), 0o644))
	testkit.Check(t, os.Symlink(target, crl))
	a := access{view: viewOf(map[string]string{"TemporaryFileSystem": hidden})}
	want := fmt.Sprintf("the service can't use %q: it is a link to %q, which the service's unit keeps from it: put the file itself into the place of the link", crl, target)
	if got := a.refusal(crl, toOwn); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := a.refusal(crl, toRead); !strings.Contains(got, "BindReadOnlyPaths="+hidden) {
		t.Errorf("to read: got %s", got)
	}
}

func TestRunsConfig(t *testing.T) {
	const show = "{ path=/usr/bin/tlstunnel ; argv[]=/usr/bin/tlstunnel run --config /etc/tlstunnel/config.toml ; ignore_errors=no ; pid=0 }"
	for _, tt := range []struct {
		execStart, file string
		want            bool
	}{
		{show, "/etc/tlstunnel/config.toml", true},
		{show, "/etc/tlstunnel/config.toml.new", false},
		{show, "/etc/tlstunnel/config", false},
		{show, "/root/config.toml", false},
		{strings.Replace(show, "config /etc", `config=/srv`, 1), "/srv/tlstunnel/config.toml", true},
		{strings.Replace(show, "--config /etc/tlstunnel/config.toml", "", 1), "/etc/tlstunnel/config.toml", true},
		{strings.Replace(show, "/etc/tlstunnel/config.toml", `"/etc/my tunnel/config.toml"`, 1), "/etc/my tunnel/config.toml", true},
	} {
		if got := runsConfig(tt.execStart, tt.file); got != tt.want {
			t.Errorf("%s: %s: got %v", tt.execStart, tt.file, got)
		}
	}
}

// testAccess is the access of a user with no other groups, in a unit that hides nothing.
func testAccess(t *testing.T) (a access, top string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can check the access of another user")
	}
	top = t.TempDir()
	testkit.Check(t, os.Chmod(filepath.Dir(top), 0o755))
	return access{account: account{filerights.User{UID: 4711, GID: 4712, Groups: []int{4712}}, "4712"}}, top
}

func TestAccess(t *testing.T) {
	a, top := testAccess(t)
	at := func(name string) string { return filepath.Join(top, name) }
	file := func(name string, uid, gid int, mode os.FileMode) {
		testkit.Check(t, os.MkdirAll(filepath.Dir(at(name)), 0o755))
		testkit.Check(t, os.WriteFile(at(name), []byte("x"), mode))
		testkit.Check(t, os.Chown(at(name), uid, gid))
		testkit.Check(t, os.Chmod(at(name), mode))
	}
	file("open.crt", 0, 0, 0o644)
	file("root.key", 0, 0, 0o600)
	file("other group.key", 0, 7, 0o640)
	file("group.key", 0, 4712, 0o600)
	file("own.key", 4711, 4712, 0o200)
	file("archive/a.pem", 0, 0, 0o644)
	testkit.Check(t, os.Mkdir(at("live"), 0o700))
	testkit.Check(t, os.Symlink("../archive/a.pem", at("live/a.pem")))
	testkit.Check(t, os.Chmod(at("archive"), 0o700))
	testkit.Check(t, os.Mkdir(at("empty"), 0o755))
	testkit.Check(t, os.Mkdir(at("ours"), 0o700))
	testkit.Check(t, os.Chown(at("ours"), 4711, 4712))
	file("pki/ca.key", 0, 0, 0o600)

	for _, tt := range []struct {
		path  string
		use   use
		wants []string // parts of the text
	}{
		{"open.crt", toRead, nil},
		{"missing", toRead, nil},
		{"root.key", toRead, []string{`the user "4711" may not read`, "(root:root 0600)", "`chgrp 4712 " + at("root.key") + " && chmod g+r "}},
		{"other group.key", toRead, []string{"`setfacl -m u:4711:r '" + at("other group.key") + "'`"}},
		{"group.key", toRead, []string{"`chmod g+r "}},
		{"own.key", toRead, []string{"`chmod u+r "}},
		{"live/a.pem", toRead, []string{"may not pass \"" + at("live") + "\" (root:root 0700), nor pass \"" + at("archive") + `"`,
			"`chgrp 4712 " + at("live") + " && chmod g+x " + at("live") + " && chgrp 4712 " + at("archive")}},
		{"ours", toOwn, nil},
		{"ours/new/pki", toOwn, nil},
		{"new/pki", toOwn, []string{"isn't there", "`install -d -m 0700 -o 4711 -g 4712 " + at("new/pki") + "`"}},
		{"empty", toOwn, []string{"`chown 4711:4712 " + at("empty") + "`"}},
		{"pki", toOwn, []string{"`chown -R 4711:4712 " + at("pki") + "`"}},
		{"pki/ca.key", toOwn, []string{"`chown -R 4711:4712 " + at("pki") + "`"}},
		{"", toWrite, []string{"install -d", at("tlstunnel")}}, // the advice is never chown -R of what others use
	} {
		got := a.refusal(at(tt.path), tt.use)
		if (got == "") != (tt.wants == nil) {
			t.Errorf("%s %q: got %q", tt.use, tt.path, got)
		}
		for _, want := range tt.wants {
			if !strings.Contains(got, want) {
				t.Errorf("%s %q: got\n%s\nwithout\n%s", tt.use, tt.path, got, want)
			}
		}
	}
}

// TestAccessRemedies: after the advised commands, the account has access.
func TestAccessRemedies(t *testing.T) {
	a, top := testAccess(t)
	secret := filepath.Join(top, "certs", "deep", "a.key")
	testkit.Check(t, os.MkdirAll(filepath.Dir(secret), 0o700))
	testkit.Check(t, os.WriteFile(secret, nil, 0o600))
	_, rest, _ := strings.Cut(a.refusal(secret, toRead), "`")
	command, _, _ := strings.Cut(rest, "`")
	for step := range strings.SplitSeq(command, " && ") {
		words := strings.Fields(step)
		switch words[0] {
		case "chgrp":
			testkit.Check(t, os.Chown(words[2], -1, a.GID))
		case "chmod":
			info, err := os.Stat(words[2])
			testkit.Check(t, err)
			bits := map[string]os.FileMode{"g+r": 0o040, "g+x": 0o010}[words[1]]
			testkit.Check(t, os.Chmod(words[2], info.Mode().Perm()|bits))
		default:
			t.Fatalf("%q in %q", step, command)
		}
	}
	if text := a.refusal(secret, toRead); text != "" {
		t.Errorf("after %s:\n%s", command, text)
	}
}

// TestAccessProblems: each file that the config names, and each that the program uses, has
// its problem at its place.
func TestAccessProblems(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.toml")
	text := `[pki]
dir = "pki"
[log]
file = "log/t.log"
[[tunnel]]
name = "a"
mode = "server"
listen = "127.0.0.1:1"
target = "127.0.0.1:2"
cert = "a.crt"
key = "a.key"
key_password_file = "a.pw"
client_auth = "require"
client_ca = ["ca1.crt", "own", "ca2.crt"]
crl = "a.crl"
[[tunnel]]
name = "b"
mode = "server"
listen = "127.0.0.1:3"
target = "127.0.0.1:4"
[tunnel.acme]
directory = "https://ca.example/dir"
directory_ca = "acme.crt"
domains = ["a.example"]
eab_kid = "k"
eab_key_file = "eab"
[[tunnel]]
name = "c"
mode = "client"
listen = "127.0.0.1:5"
target = "127.0.0.1:6"
ca = "server.crt"
`
	cfg, problems := config.Parse(file, []byte(text))
	testkit.Check(t, problems.Err())
	var asked []string
	got := problemsOf(cfg, func(path string, u use) string {
		rel, _ := filepath.Rel(dir, path)
		asked = append(asked, string(u)+" "+rel)
		return "no"
	})
	for i, line := range []string{":1:1:", ":2:", ":4:", ":10:", ":11:", ":12:", ":14:", ":15:", ":23:", ":26:", ":32:"} {
		if !strings.Contains(got.Err().Error()+got[len(got)-1].String(), line) {
			t.Errorf("%d: no problem at %s:\n%v", i, line, got)
		}
	}
	want := "read config.toml, read a.crt, read a.key, read a.pw, read ca1.crt, read ca2.crt, read a.crl, read acme.crt, read eab, read server.crt, use pki, write log"
	if all := strings.Join(asked, ", "); all != want {
		t.Errorf("asked for\n%s\nwant\n%s", all, want)
	}
	if problemsOf(cfg, nil) != nil {
		t.Error("a service that isn't installed is kept from something")
	}
}
