package installer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"tlstunnel/internal/testkit"
)

// testAccount is an id that no user has.
var testAccount = account{4711, 4712}

// testHost is a machine in a folder of the test's own, which runs no programs.
// Only root can give files away.
func testHost(t *testing.T) host {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	root := t.TempDir()
	check(t, os.Chmod(filepath.Dir(root), 0o755)) // the account must come there
	for _, dir := range []string{"/etc", "/var/lib", "/var/log", "/usr/local/bin"} {
		check(t, os.MkdirAll(root+dir, 0o755))
	}
	return host{
		root:    root,
		run:     func(string, ...string) error { return errors.New("a test runs no programs") },
		account: func() (account, error) { return testAccount, nil },
	}
}

var check = testkit.Check

// apply does the steps and returns the result of each.
func apply(steps ...Step) (states []State, err error) {
	err = Apply(steps, false, func(_ string, s State, _ error) { states = append(states, s) })
	return states, err
}

func checkSetting(t *testing.T, path string, want setting) {
	t.Helper()
	info, err := os.Lstat(path)
	check(t, err)
	want.path = path
	if got := settingOf(path, info); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

var broken = Step{Name: "broken", Do: func() error { return errors.New("broken") }}

func TestFolders(t *testing.T) {
	for _, umask := range []int{0o022, 0o077} {
		t.Run(fmt.Sprintf("umask %03o", umask), func(t *testing.T) {
			h := testHost(t)
			defer syscall.Umask(syscall.Umask(umask))
			steps := []Step{h.folderStep(configFolder), h.folderStep(stateFolder), h.folderStep(logFolder)}
			states, err := apply(steps...)
			check(t, err)
			if !slices.Equal(states, []State{Done, Done, Done}) {
				t.Errorf("got %v", states)
			}
			checkSetting(t, h.root+"/etc/tlstunnel", setting{"", 0o750, account{0, testAccount.gid}})
			checkSetting(t, h.root+"/var/lib/tlstunnel", setting{"", 0o700, testAccount})
			checkSetting(t, h.root+"/var/log/tlstunnel", setting{"", 0o750, testAccount})

			states, err = apply(steps...)
			if !slices.Equal(states, []State{Present, Present, Present}) || err != nil {
				t.Errorf("again: got %v, %v", states, err)
			}
		})
	}
}

// TestFoldersUndone: folders that weren't there before are removed again.
func TestFoldersUndone(t *testing.T) {
	h := testHost(t)
	states, err := apply(h.folderStep(configFolder), h.folderStep(stateFolder), broken)
	if err == nil || !slices.Equal(states, []State{Done, Done, Failed, Undone, Undone}) {
		t.Errorf("got %v, %v", states, err)
	}
	for _, dir := range []string{"/etc", "/var/lib"} {
		if left, err := os.ReadDir(h.root + dir); err != nil || len(left) > 0 {
			t.Errorf("%s: %v, %v", dir, left, err)
		}
	}
}

// TestFolderLinked: if root has put the config folder elsewhere by a link, the rights are set
// there. A link that leads nowhere is an error. So is a file, and a link where systemd
// accepts none.
func TestFolderLinked(t *testing.T) {
	h := testHost(t)
	link, elsewhere := h.root+configFolder.path, h.root+"/srv"
	check(t, os.Mkdir(elsewhere, 0o755))
	check(t, os.Symlink(elsewhere, link))
	states, err := apply(h.folderStep(configFolder), broken)
	if err == nil || !slices.Equal(states, []State{Done, Failed, Undone}) {
		t.Errorf("got %v, %v", states, err)
	}
	checkSetting(t, elsewhere, setting{"", 0o755, account{}})
	_, err = apply(h.folderStep(configFolder))
	check(t, err)
	checkSetting(t, elsewhere, setting{"", 0o750, account{0, testAccount.gid}})
	if states, err := apply(h.folderStep(configFolder)); err != nil || states[0] != Present {
		t.Errorf("again: got %v, %v", states, err)
	}

	refused := func(f folder, want string) {
		t.Helper()
		if _, err := apply(h.folderStep(f)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	check(t, os.Remove(elsewhere))
	refused(configFolder, "is a link that leads to no folder")
	check(t, os.Remove(link))
	check(t, os.WriteFile(link, nil, 0o750))
	refused(configFolder, "isn't a folder")
	check(t, os.Symlink(t.TempDir(), h.root+stateFolder.path))
	refused(stateFolder, "is a link, and systemd takes none")
}

// TestPurgeConfig: purge removes a config that is elsewhere, and no file that was only named
// as a config.
func TestPurgeConfig(t *testing.T) {
	dir := t.TempDir()
	other, wrong, mine := dir+"/other", dir+"/wrong.toml", dir+"/mine.toml"
	check(t, os.MkdirAll(other+"/precious", 0o700))
	check(t, os.WriteFile(wrong, []byte("name = 'of another program'\n"), 0o600))
	check(t, os.WriteFile(mine, []byte("watch = true\n"), 0o600))
	for path, want := range map[string]State{other: Warning, wrong: Warning, mine: Done, dir + "/none": Present} {
		if states, err := apply(removeConfigStep(path)); err != nil || !slices.Equal(states, []State{want}) {
			t.Errorf("%s: got %v, %v", path, states, err)
		}
		if found, err := exists(path); found != (want == Warning) || err != nil {
			t.Errorf("%s is there: %v, %v", path, found, err)
		}
	}
}

// TestFolderTakenOver: the account becomes the owner of what root has made by hand, but not
// of what a link leads to, and not of what has another name elsewhere (a hard link).
func TestFolderTakenOver(t *testing.T) {
	h := testHost(t)
	dir := h.root + stateFolder.path
	secret := h.root + "/etc/secret"
	check(t, os.WriteFile(secret, nil, 0o600))
	check(t, os.MkdirAll(dir+"/pki", 0o755))
	check(t, os.WriteFile(dir+"/pki/ca.key", nil, 0o600))
	check(t, os.Symlink(secret, dir+"/link"))
	check(t, os.Link(secret, dir+"/other"))
	check(t, syscall.Mkfifo(dir+"/pipe", 0o600))

	root := account{}
	states, err := apply(h.folderStep(stateFolder), broken)
	if err == nil || !slices.Equal(states, []State{Done, Failed, Undone}) {
		t.Errorf("got %v, %v", states, err)
	}
	checkSetting(t, dir, setting{"", 0o755, root})
	checkSetting(t, dir+"/pki/ca.key", setting{"", 0o600, root})

	_, err = apply(h.folderStep(stateFolder))
	check(t, err)
	checkSetting(t, dir, setting{"", 0o700, testAccount})
	checkSetting(t, dir+"/pki", setting{"", 0o755, testAccount})
	checkSetting(t, dir+"/pki/ca.key", setting{"", 0o600, testAccount})
	checkSetting(t, secret, setting{"", 0o600, root})
}

// TestConfig: root may write the first config, and the service may read it. A config that was
// there before becomes readable.
func TestConfig(t *testing.T) {
	h := testHost(t)
	defer syscall.Umask(syscall.Umask(0o077))
	o := Options{Config: h.root + "/etc/tlstunnel/config.toml", Example: []byte("# mine\n")}
	config := strings.TrimPrefix(o.Config, h.root)
	steps := []Step{h.folderStep(configFolder), configStep(o), h.readableStep(config)}
	states, err := apply(steps...)
	if !slices.Equal(states, []State{Done, Done, Present}) || err != nil {
		t.Errorf("got %v, %v", states, err)
	}
	checkSetting(t, o.Config, setting{"", 0o640, account{0, testAccount.gid}})

	check(t, os.WriteFile(o.Config, []byte("# changed\n"), 0o600))
	check(t, os.Chown(o.Config, 0, 0))
	check(t, os.Chmod(o.Config, 0o600))
	states, err = apply(configStep(o), h.readableStep(config), broken)
	if !slices.Equal(states, []State{Present, Done, Failed, Undone}) || err == nil {
		t.Errorf("got %v, %v", states, err)
	}
	checkSetting(t, o.Config, setting{"", 0o600, account{}})
	_, err = apply(configStep(o), h.readableStep(config))
	check(t, err)
	checkSetting(t, o.Config, setting{"", 0o640, account{0, testAccount.gid}})
	if text, err := os.ReadFile(o.Config); string(text) != "# changed\n" {
		t.Errorf("got %q, %v", text, err)
	}
}

// TestPKI: from the first moment, the account can read the keys, and no other account can.
func TestPKI(t *testing.T) {
	h := testHost(t)
	dir := h.root + stateFolder.path + "/pki"
	o := Options{Config: h.root + "/etc/config.toml", Example: fmt.Appendf(nil, "log.file = '-'\npki.dir = %q\n", dir)}
	states, err := apply(h.folderStep(stateFolder), configStep(o), pkiStep(t.Context(), o), broken)
	if !slices.Equal(states, []State{Done, Done, Done, Failed, Undone, Undone, Undone}) || err == nil {
		t.Errorf("got %v, %v", states, err)
	}
	for _, path := range []string{o.Config, h.root + stateFolder.path} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}

	steps := []Step{h.folderStep(stateFolder), configStep(o), pkiStep(t.Context(), o)}
	_, err = apply(steps...)
	check(t, err)
	checkSetting(t, dir, setting{"", 0o700, testAccount})
	for name, mode := range map[string]fs.FileMode{"ca.key": 0o600, "server.key": 0o600, ".lock": 0o600, "issued.jsonl": 0o600, "ca.crt": 0o644, "server.crt": 0o644} {
		checkSetting(t, filepath.Join(dir, name), setting{"", mode, testAccount})
	}
	states, err = apply(steps...)
	if !slices.Equal(states, []State{Present, Present, Present}) || err != nil {
		t.Errorf("again: got %v, %v", states, err)
	}

	// An error for a mistake in the config names its place.
	check(t, os.WriteFile(o.Config, []byte("wrong = 1"), 0o600))
	if _, err := apply(pkiStep(t.Context(), o)); err == nil || !strings.Contains(err.Error(), "config.toml:1:1: unknown key") {
		t.Errorf("got %v", err)
	}
}

// TestProgram: install copies the whole program, and an undo brings the older one back.
func TestProgram(t *testing.T) {
	h := testHost(t)
	defer syscall.Umask(syscall.Umask(0o077))
	from, to := h.root+"/download", installedProgram
	check(t, os.WriteFile(from, []byte("new"), 0o700))
	check(t, os.WriteFile(h.root+to, []byte("old"), 0o755))
	content := func() string {
		data, err := os.ReadFile(h.root + to)
		check(t, err)
		return string(data)
	}
	if states, err := apply(programStep(from, h.root+to), broken); err == nil || content() != "old" {
		t.Errorf("got %v, %v, %q", states, err, content())
	}
	if states, err := apply(programStep(from, h.root+to)); err != nil || content() != "new" || states[0] != Done {
		t.Errorf("got %v, %v, %q", states, err, content())
	}
	checkSetting(t, h.root+to, setting{"", 0o755, account{}})
	if states, err := apply(programStep(from, h.root+to)); err != nil || states[0] != Present {
		t.Errorf("again: got %v, %v", states, err)
	}
	if left, err := os.ReadDir(filepath.Dir(h.root + to)); err != nil || len(left) != 1 {
		t.Errorf("there is more: %v, %v", left, err)
	}
}

// TestProgramPlace: install copies a program that the account can't execute, or that others
// than root can change.
func TestProgramPlace(t *testing.T) {
	h := host{}
	sleep, err := exec.LookPath("sleep")
	check(t, err)
	sleep, err = filepath.EvalSymlinks(sleep)
	check(t, err)
	mine := filepath.Join(t.TempDir(), "tlstunnel") // in /tmp
	check(t, os.WriteFile(mine, nil, 0o755))
	for program, want := range map[string]string{sleep: sleep, mine: installedProgram} {
		if got, err := h.programPlace(program); got != want || err != nil {
			t.Errorf("%s: got %s, %v, want %s", program, got, err, want)
		}
	}
	if _, err := h.programPlace("/none"); err == nil {
		t.Error("no error")
	}
}

// TestAccountPrograms: the command lines for the programs that manage accounts.
func TestAccountPrograms(t *testing.T) {
	if _, err := lookUpAccount(); err == nil {
		t.Skip("this machine has the account")
	}
	if !hasShadow() {
		t.Skip("this machine has no useradd")
	}
	var ran []string
	h := host{run: func(name string, args ...string) error {
		ran = append(ran, name+" "+strings.Join(args, " "))
		return nil
	}}
	states, err := apply(h.groupStep(), h.userStep(), broken)
	if !slices.Equal(states, []State{Done, Done, Failed, Undone, Undone}) || err == nil {
		t.Errorf("got %v, %v", states, err)
	}
	all := strings.Join(ran, "\n")
	for _, want := range []string{
		"groupadd --system tlstunnel\n",
		"useradd --system --gid tlstunnel --home-dir /var/lib/tlstunnel --no-create-home --shell ",
		"\nuserdel tlstunnel",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%q isn't in\n%s", want, all)
		}
	}
}

// TestForeignAccount: purge keeps a user who has the account's name but isn't ours.
func TestForeignAccount(t *testing.T) {
	for line, want := range map[string]string{
		"tlstunnel:x:999:999:TLS tunnels:/var/lib/tlstunnel:/usr/sbin/nologin": "",
		"tlstunnel:x:104:106:TLS tunnels:/nonexistent:/sbin/nologin":           "",
		"tlstunnel:x:101:101:TLS tunnels:/var/lib/tlstunnel:/bin/false":        "",
		"tlstunnel2:x:1001:1001::/home/tlstunnel2:/bin/bash":                   "",
		"tlstunnel:x:1001:1001::/var/lib/tlstunnel:/usr/sbin/nologin":          "its number is 1001",
		"tlstunnel:x:999:999::/var/lib/tlstunnel:/bin/bash":                    `it can log in, by the shell "/bin/bash"`,
		"tlstunnel:x:999:999::/var/lib/tlstunnel:":                             `it can log in, by the shell ""`,
		"tlstunnel:x:999:999::/srv/tlstunnel:/usr/sbin/nologin":                `its home is "/srv/tlstunnel"`,
	} {
		h := host{root: t.TempDir(), run: func(string, ...string) error { t.Errorf("%s: runs a program", line); return nil }}
		check(t, os.Mkdir(h.root+"/etc", 0o755))
		check(t, os.WriteFile(h.root+"/etc/passwd", []byte("root:x:0:0:root:/root:/bin/bash\n"+line+"\n"), 0o644))
		if got := h.foreignAccount(); !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
		if want == "" {
			continue
		}
		if states, err := apply(h.removeAccountStep()); err != nil || !slices.Equal(states, []State{Warning}) {
			t.Errorf("%s: got %v, %v", line, states, err)
		}
	}
}

// TestUnitCopy: a unit that is replaced stays beside the new one, under a name that systemd
// ignores. The next copy overwrites it.
func TestUnitCopy(t *testing.T) {
	file := filepath.Join(t.TempDir(), filepath.Base(unitCopy))
	for _, text := range []string{"edited", "edited again"} {
		states, err := apply(unitCopyStep(file, []byte(text)))
		check(t, err)
		if got, err := os.ReadFile(file); string(got) != text || err != nil || states[0] != Done {
			t.Errorf("got %q, %v, %v", got, err, states)
		}
	}
	if strings.HasSuffix(unitCopy, ".service") {
		t.Errorf("%q is a unit", unitCopy)
	}
}
