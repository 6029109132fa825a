package pki

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
)

// TestLinksInFolder: the owner of the PKI's folder replaces a file by a symlink or a hard
// link to a file of root's. No command that root runs changes that file.
func TestLinksInFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has rights in another user's folder")
	}
	t.Parallel()
	ctx, now := context.Background(), time.Now()
	for name, do := range map[string]func(Settings) error{
		"init": func(s Settings) error { _, _, err := Ensure(ctx, s, now); return err },
		"issue": func(s Settings) error {
			return withAuthority(s, now, func(a *Authority) error {
				_, _, err := a.Issue(Request{Name: "x", Client: true, Validity: time.Hour}, "ecdsa-p256", filepath.Dir(s.Dir))
				return err
			})
		},
		"revoke": func(s Settings) error {
			return withAuthority(s, now, func(a *Authority) error {
				i, err := a.Find("server")
				if err != nil {
					return err
				}
				return a.Revoke(i, "superseded")
			})
		},
		"renew": func(s Settings) error {
			_, err := Renew(ctx, s, now, RenewOptions{Force: true, NewKey: true})
			return err
		},
		"rotate": func(s Settings) error {
			if err := Rotate(ctx, s, now); err != nil {
				return err
			}
			return FinishRotation(ctx, s, now)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			linkEach(t, do)
		})
	}
}

func withAuthority(s Settings, now time.Time, do func(*Authority) error) error {
	a, err := OpenAuthority(context.Background(), s.Dir, now)
	if err != nil {
		return err
	}
	defer a.Close()
	return do(a)
}

func linkEach(t *testing.T, do func(Settings) error) {
	top := t.TempDir()
	testkit.Check(t, os.Chmod(filepath.Dir(top), 0o755))
	s := testSettings(filepath.Join(top, "pki"))
	for _, file := range append(Files(s.Dir), OwnCRL(s.Dir), IndexFile(s.Dir), LockFile(s.Dir)) {
		for how, link := range map[string]func(string, string) error{"link": os.Symlink, "name": os.Link} {
			testkit.Check(t, os.Mkdir(s.Dir, 0o700))
			testkit.Check(t, os.Chown(s.Dir, 4711, 4712))
			_, _, err := Ensure(context.Background(), s, time.Now())
			testkit.Check(t, err)
			victim := filepath.Join(top, "victim")
			content, _ := os.ReadFile(file) // so that the command takes it for the file of the PKI
			testkit.Check(t, os.WriteFile(victim, content, 0o600))
			os.Remove(file)
			testkit.Check(t, link(victim, file))
			err = do(s)
			info, statErr := os.Stat(victim)
			testkit.Check(t, statErr)
			if after := readFile(t, victim); string(after) != string(content) || info.Mode() != 0o600 || info.Sys().(*syscall.Stat_t).Uid != 0 {
				t.Errorf("%s as another %s: root's file is changed, %v, %d bytes; the command said %v", filepath.Base(file), how, info.Mode(), len(after), err)
			}
			testkit.Check(t, os.RemoveAll(s.Dir))
			for _, made := range []string{"victim", "x.key", "x.crt"} {
				os.Remove(filepath.Join(top, made))
			}
		}
	}
}
