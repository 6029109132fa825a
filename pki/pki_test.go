package pki

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/atomicfile"
)

func TestSecondRunChangesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	s := testSettings(dir)
	first, created, err := Ensure(t.Context(), s, now)
	if err != nil {
		t.Fatal(err)
	}
	if want := layoutOf(dir).all(); !slices.Equal(created, want) {
		t.Errorf("first run: got created %q, want %q", created, want)
	}
	before := snapshot(t, dir)

	s.KeyType, s.Names = "rsa-2048", []string{"other.example"} // too late
	second, created, err := Ensure(t.Context(), s, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if len(created) != 0 {
		t.Errorf("second run: got created %q, want none", created)
	}
	if after := snapshot(t, dir); after != before {
		t.Errorf("second run: got files\n%s\nwant\n%s", after, before)
	}
	if !second.CA.Equal(first.CA) || !second.Server.Leaf.Equal(first.Server.Leaf) {
		t.Error("second run: got other certificates")
	}
}

// snapshot is the names, times, modes and contents of the files in dir.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	for _, name := range fileNames(t, dir) {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, name, info.ModTime().UnixNano(), info.Mode(), string(readFile(t, path)))
	}
	return b.String()
}

func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("has access lists instead")
	}
	dir := ensure(t, nil).Dir
	for name, want := range map[string]fs.FileMode{
		"": fs.ModeDir | 0o700, "ca.key": 0o600, "server.key": 0o600, "ca.crt": 0o644, "server.crt": 0o644, ".lock": 0o600, "issued.jsonl": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode(); got != want {
			t.Errorf("%q: got mode %v, want %v", name, got, want)
		}
	}
}

// TestPresence goes through all 16 ways in which files can be missing.
func TestPresence(t *testing.T) {
	const (
		restore    = ": restore it from a backup, or, "
		restoreAll = ": restore them from a backup, or, "
		startOver  = "to start over with a new CA that every client then needs, delete "
		killed     = "if tlstunnel was killed during its first start"
	)
	missing := func(there, missing string) string {
		return fmt.Sprintf(`"DIR/%s" exists but "DIR/%s" is missing`, there, missing)
	}
	noCA := func(there, all string) string {
		return there + ` but "DIR/ca.crt" and "DIR/ca.key" are missing` + restoreAll + startOver + all
	}
	halfCA := func(there, gone string) string {
		return missing(there, gone) + restore + killed + `, delete "DIR/` + there + `" and start again`
	}
	halfCAInUse := func(there, gone, all string) string {
		return missing(there, gone) + restore + startOver + all
	}
	halfServer := func(there, gone string) string {
		return missing(there, gone) + restore + killed + ` or there is no backup, delete "DIR/` + there + `" and start again: a new pair is then made from the same CA`
	}
	for have, want := range map[string]string{
		"":                                    "made: ca.key ca.crt server.key server.crt",
		"ca.key ca.crt":                       "made: server.key server.crt",
		"ca.key ca.crt server.key server.crt": "made:",

		"ca.key":                       halfCA("ca.key", "ca.crt"),
		"ca.crt":                       halfCA("ca.crt", "ca.key"),
		"ca.key ca.crt server.key":     halfServer("server.key", "server.crt"),
		"ca.key ca.crt server.crt":     halfServer("server.crt", "server.key"),
		"server.key":                   noCA(`"DIR/server.key" exists`, `"DIR/server.key"`),
		"server.crt":                   noCA(`"DIR/server.crt" exists`, `"DIR/server.crt"`),
		"server.key server.crt":        noCA(`"DIR/server.key" and "DIR/server.crt" exist`, `"DIR/server.key" and "DIR/server.crt"`),
		"ca.key server.key":            halfCAInUse("ca.key", "ca.crt", `"DIR/ca.key" and "DIR/server.key"`),
		"ca.key server.crt":            halfCAInUse("ca.key", "ca.crt", `"DIR/ca.key" and "DIR/server.crt"`),
		"ca.crt server.key":            halfCAInUse("ca.crt", "ca.key", `"DIR/ca.crt" and "DIR/server.key"`),
		"ca.crt server.crt":            halfCAInUse("ca.crt", "ca.key", `"DIR/ca.crt" and "DIR/server.crt"`),
		"ca.key server.key server.crt": halfCAInUse("ca.key", "ca.crt", `"DIR/ca.key", "DIR/server.key" and "DIR/server.crt"`),
		"ca.crt server.key server.crt": halfCAInUse("ca.crt", "ca.key", `"DIR/ca.crt", "DIR/server.key" and "DIR/server.crt"`),
	} {
		t.Run(have, func(t *testing.T) {
			dir := ensure(t, nil).Dir
			for _, path := range layoutOf(dir).all() {
				if !slices.Contains(strings.Fields(have), filepath.Base(path)) {
					remove(t, path)
				}
			}
			before := snapshot(t, dir)

			_, created, err := Ensure(t.Context(), testSettings(dir), now)
			if got := outcome(dir, created, err); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if err != nil && snapshot(t, dir) != before {
				t.Error("an error, and yet the files have changed")
			}
		})
	}
}

// outcome is a text of paths and messages, in which the folder is DIR.
func outcome(dir string, created []string, err error) string {
	if err != nil {
		quoted := strings.Trim(fmt.Sprintf("%q", dir+string(filepath.Separator)), `"`)
		return strings.ReplaceAll(strings.ReplaceAll(err.Error(), quoted, "DIR/"), strings.Trim(fmt.Sprintf("%q", dir), `"`), "DIR")
	}
	text := "made:"
	for _, path := range created {
		text += " " + filepath.Base(path)
	}
	return text
}

func TestOpenNeverWrites(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	_, err := Open(dir, now)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: got %v, want fs.ErrNotExist", err)
	}
	want := "opening the PKI in \"DIR\": file does not exist: `tlstunnel init` makes one, and so does a first start"
	if got := outcome(dir, nil, err); got != want {
		t.Errorf("no folder:\ngot  %s\nwant %s", got, want)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("Open made the folder")
	}

	prepareFirstRun(t, dir)
	remove(t, layoutOf(dir).serverCert, layoutOf(dir).serverKey)
	_, err = Open(dir, now)
	want = "opening \"DIR/server.crt\" and \"DIR/server.key\": file does not exist: tlstunnel makes them from the CA when it starts or with `tlstunnel init`"
	if got := outcome(dir, nil, err); got != want || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no server pair:\ngot  %s\nwant %s", got, want)
	}
	if got, want := fileNames(t, dir), []string{".lock", "ca.crt", "ca.key", "issued.jsonl"}; !slices.Equal(got, want) {
		t.Errorf("got files %q, want %q", got, want)
	}
}

// TestOpenNotExist: if the next start would fail, Open's error isn't the one that says that
// there is nothing yet.
func TestOpenNotExist(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"a CA that has expired": func(string) error { return nil },
		"half a pair":           func(dir string) error { return os.Remove(filepath.Join(dir, "ca.key")) },
		"a dangling symlink": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "ca.key")), os.Symlink("nowhere", filepath.Join(dir, "ca.key")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := ensure(t, nil).Dir
			remove(t, layoutOf(dir).serverCert, layoutOf(dir).serverKey)
			if err := change(dir); err != nil {
				t.Skip(err) // Windows lets few make a symlink
			}
			if _, err := Open(dir, now.AddDate(21, 0, 0)); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %v, want another error than fs.ErrNotExist", err)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("has access lists instead")
	}
	store := ensure(t, nil)
	if store.Warnings != nil {
		t.Errorf("got %q, want no warning", store.Warnings)
	}
	dir := store.Dir
	for name, mode := range map[string]fs.FileMode{"ca.key": 0o640, "server.key": 0o604, "ca.crt": 0o666, "": 0o755} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	access := func(key, mode string) string {
		return `others have access to the key "DIR/` + key + `", whose mode is ` + mode + ": run `chmod 600` on it, and replace it if anybody may have copied it"
	}
	want := []string{access("ca.key", "0640"), access("server.key", "0604")}
	check := func() {
		t.Helper()
		store, err := Open(dir, now)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, warning := range store.Warnings {
			got = append(got, outcome(dir, nil, errors.New(warning)))
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	check()
	if err := os.Chmod(dir, 0o770); err != nil {
		t.Fatal(err)
	}
	want = append(want, "others can replace what is in the folder of the PKI \"DIR\", whose mode is 0770: run `chmod go-w` on it")
	check()
}

// TestServerPairIsIssuedAnew deletes the server pair as the messages advise.
func TestServerPairIsIssuedAnew(t *testing.T) {
	first := ensure(t, nil)
	l := layoutOf(first.Dir)
	remove(t, l.serverCert, l.serverKey)
	second, created, err := Ensure(t.Context(), testSettings(first.Dir), now)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{l.serverKey, l.serverCert}; !slices.Equal(created, want) {
		t.Errorf("got created %q, want %q", created, want)
	}
	if !second.CA.Equal(first.CA) || second.Server.Leaf.Equal(first.Server.Leaf) {
		t.Error("want the same CA and another server certificate")
	}
}

func TestOpenChecks(t *testing.T) {
	other := layoutOf(ensure(t, nil).Dir)
	copyFile := func(from, to string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			writeFile(t, filepath.Join(dir, to), readFile(t, from))
		}
	}
	for _, test := range []struct {
		name   string
		change func(t *testing.T, dir string)
		now    time.Time
		want   string
	}{
		{"key of another CA", copyFile(other.caKey, "ca.key"), now,
			`key "DIR/ca.key" doesn't belong to certificate "DIR/ca.crt": they have different public keys: take the key that the request for this certificate was made with`},
		{"key of another server", copyFile(other.serverKey, "server.key"), now,
			`key "DIR/server.key" doesn't belong to certificate "DIR/server.crt": they have different public keys: take the key that the request for this certificate was made with`},
		{"another CA", func(t *testing.T, dir string) {
			copyFile(other.caKey, "ca.key")(t, dir)
			copyFile(other.caCert, "ca.crt")(t, dir)
		}, now,
			`certificate "DIR/server.crt" wasn't issued by the CA in "DIR/ca.crt": restore the files that belong together from a backup, or delete "DIR/server.crt" and "DIR/server.key"; the next start makes new ones from the same CA`},
		{"a leaf for a CA", func(t *testing.T, dir string) {
			copyFile(other.serverKey, "ca.key")(t, dir)
			copyFile(other.serverCert, "ca.crt")(t, dir)
		}, now,
			`certificate "DIR/ca.crt" isn't that of a CA: restore "DIR/ca.crt" and "DIR/ca.key" from a backup`},
		{"CA expired", nil, now.AddDate(21, 0, 0),
			`certificate "DIR/ca.crt" expired on 2046-11-18 07:40:00 +00:00: delete "DIR/ca.key", "DIR/ca.crt", "DIR/server.key" and "DIR/server.crt"; ` + "`tlstunnel init`" + ` then makes a new CA, and every client needs the new "DIR/ca.crt"`},
		{"clock is slow", nil, now.Add(-2 * time.Hour), "made:"},
		{"half an hour slow", nil, now.Add(-30 * time.Minute), "made:"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := ensure(t, nil).Dir
			if test.change != nil {
				test.change(t, dir)
			}
			_, err := Open(dir, test.now)
			if got := outcome(dir, nil, err); got != test.want {
				t.Errorf("Open:\ngot  %s\nwant %s", got, test.want)
			}
			_, _, err = Ensure(t.Context(), testSettings(dir), test.now)
			if got := outcome(dir, nil, err); got != test.want {
				t.Errorf("Ensure:\ngot  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, test := range []struct {
		change func(*Settings)
		want   string
	}{
		{func(s *Settings) { s.Dir = "" }, `the folder of the PKI isn't set`},
		{func(s *Settings) { s.KeyType = "rsa-1024" },
			`unknown key type "rsa-1024": use one of ecdsa-p256, ecdsa-p384, ed25519, rsa-2048, rsa-3072, rsa-4096`},
		{func(s *Settings) { s.CertValidity = 0 }, `the validity of a certificate must be positive: CA 175200h0m0s, server certificate 0s`},
		{func(s *Settings) { s.Names = []string{"a.example", "zwei worte"} },
			`name "zwei worte" is neither an IP address nor a DNS name in ASCII (an international name is written as "xn--…")`},
		{func(s *Settings) { s.Subject.Country = "Korea" }, `subject country "Korea" is too long: 5 characters, at most 2 are allowed`},
		{func(s *Settings) { s.Subject.Country = "K1" }, `subject country "K1" isn't a code of two letters such as "KR"`},
		{func(s *Settings) { s.Subject.Email = "é@example" }, `subject email "é@example" isn't plain ASCII`},
		{func(s *Settings) { s.Subject.Organization = "a\nb" }, `subject organization "a\nb" has characters that can't be printed`},
		{func(s *Settings) { s.Subject.CommonName = strings.Repeat("x", 65) },
			`subject common_name "` + strings.Repeat("x", 65) + `" is too long: 65 characters, at most 64 are allowed`},
	} {
		s := testSettings(filepath.Join(t.TempDir(), "pki"))
		test.change(&s)
		_, _, err := Ensure(t.Context(), s, now)
		if err == nil || err.Error() != test.want {
			t.Errorf("got  %v\nwant %s", err, test.want)
		}
		if _, err := os.Stat(s.Dir); s.Dir != "" && err == nil {
			t.Errorf("%s: and yet the folder was made", test.want)
		}
	}
}

func TestAdviseRights(t *testing.T) {
	denied := fmt.Errorf("creating folder %q: %w", "pki", fs.ErrPermission)
	err := adviseRights(denied)
	want := `creating folder "pki": permission denied: run as an administrator (root), or set pki.dir to a folder of your own`
	if err.Error() != want || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := adviseRights(fs.ErrExist); err != fs.ErrExist {
		t.Errorf("got %v, want fs.ErrExist as it is", err)
	}
}

func TestReadOnlyFolder(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("needs an ordinary user under Unix")
	}
	const advice = ": run as an administrator (root), or set pki.dir to a folder of your own"
	parent := t.TempDir()
	dir := filepath.Join(parent, "pki")
	chmod := func(path string, mode fs.FileMode) {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	chmod(parent, 0o500)
	defer chmod(parent, 0o700)
	_, _, err := Ensure(t.Context(), testSettings(dir), now)
	if got, want := outcome(dir, nil, err), `creating folder "DIR": permission denied`+advice; got != want {
		t.Errorf("no folder: got %s, want %s", got, want)
	}

	chmod(parent, 0o700)
	if err := os.Mkdir(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	_, _, err = Ensure(t.Context(), testSettings(dir), now)
	if got, want := outcome(dir, nil, err), `opening the lock file "DIR/.lock": permission denied`+advice; got != want {
		t.Errorf("empty folder: got %s, want %s", got, want)
	}

	chmod(dir, 0o700)
	prepareFirstRun(t, dir)
	chmod(dir, 0o500)
	defer chmod(dir, 0o700)
	if _, _, err = Ensure(t.Context(), testSettings(dir), now); err != nil {
		t.Errorf("complete PKI: got %v, want no error", err)
	}
}

// TestFailureWhilePublishing: another program makes ca.crt when ca.key is already there.
// Ensure removes what it made, and nothing else.
func TestFailureWhilePublishing(t *testing.T) {
	defer func() { atomicfile.TestOnlyStep = func(string) {} }()
	dir := filepath.Join(t.TempDir(), "pki")
	atomicfile.TestOnlyStep = func(step string) {
		if step == "published" {
			writeFile(t, filepath.Join(dir, "ca.crt"), []byte("foreign"))
		}
	}
	_, created, err := Ensure(t.Context(), testSettings(dir), now)
	if !errors.Is(err, fs.ErrExist) || created != nil {
		t.Errorf("got %q, %v, want nothing and fs.ErrExist", created, err)
	}
	if got, want := fileNames(t, dir), []string{".lock", "ca.crt", "issued.jsonl"}; !slices.Equal(got, want) {
		t.Errorf("got files %q, want %q", got, want)
	}
	if got := string(readFile(t, filepath.Join(dir, "ca.crt"))); got != "foreign" {
		t.Errorf("ca.crt was overwritten: %q", got)
	}
}

func TestLockObeysContext(t *testing.T) {
	dir := t.TempDir()
	unlock, err := Lock(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = Ensure(ctx, testSettings(dir), now)
	want := `waiting for another tlstunnel that holds "DIR/.lock": context canceled`
	if got := outcome(dir, nil, err); got != want || !errors.Is(err, context.Canceled) {
		t.Errorf("got %s, want %s", got, want)
	}
	unlock()
	if _, _, err = Ensure(t.Context(), testSettings(dir), now); err != nil {
		t.Errorf("after unlocking: %v", err)
	}
}

// TestCutOffFiles cuts each file at several places. Open must notice each cut, and no error
// may contain a part of a key.
func TestCutOffFiles(t *testing.T) {
	for _, name := range []string{"ca.key", "ca.crt", "server.key", "server.crt"} {
		dir := ensure(t, nil).Dir
		path := filepath.Join(dir, name)
		whole := readFile(t, path)
		for _, length := range []int{0, 1, 20, 60, len(whole) / 2, len(whole) - 30} {
			writeFile(t, path, whole[:length])
			_, err := Open(dir, now)
			if err == nil {
				t.Fatalf("%s cut to %d bytes: got no error", name, length)
			}
			for line := range bytes.Lines(whole) {
				if secret := bytes.TrimSpace(line); !bytes.HasPrefix(secret, []byte("-----")) && bytes.Contains([]byte(err.Error()), secret) {
					t.Errorf("%s cut to %d bytes: the error shows what is in it: %v", name, length, err)
				}
			}
		}
	}
}
