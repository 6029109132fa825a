package service

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// watching starts a service with watch = true and one tunnel. text is its config with another
// connect_timeout.
func watching(t *testing.T, prepare func(file string)) (s *subject, text func(connectTimeout string) string) {
	t.Helper()
	target := greeter(t, "one")
	text = func(connectTimeout string) string {
		return "watch = true\n" + serverTunnel("a", "127.0.0.1:0", target, fmt.Sprintf("connect_timeout = %q", connectTimeout))
	}
	s = startService(t, text("1s"), func(dir string) {
		if prepare != nil {
			prepare(filepath.Join(dir, "config.toml"))
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.supervise(ctx, nil, nil) }()
	t.Cleanup(func() {
		cancel()
		check(t, <-ended)
	})
	return s, text
}

const reloadedByFiles = `msg=reloaded cause="files changed" opened=[] closed=[] changed=[a]`

// TestWatch: the service notices a change of its files however it is made.
func TestWatch(t *testing.T) {
	t.Run("renamed over", func(t *testing.T) {
		t.Parallel()
		s, text := watching(t, nil)
		s.write(text("2s"))
		s.log.Await(t, reloadedByFiles)
	})
	t.Run("written in place", func(t *testing.T) {
		t.Parallel()
		s, text := watching(t, nil)
		check(t, os.WriteFile(s.file, []byte("pki.dir = 'pki'\n"+text("2s")), 0o600))
		s.log.Await(t, reloadedByFiles)
	})
	t.Run("mistake, then right", func(t *testing.T) {
		t.Parallel()
		s, text := watching(t, nil)
		s.write(text("2s") + "wrong = 1")
		s.log.Await(t, `msg="reload refused, nothing was changed" cause="files changed"`)
		s.write(text("3s"))
		s.log.Await(t, reloadedByFiles)
	})
	t.Run("a log beside it never rests", func(t *testing.T) {
		t.Parallel()
		s, text := watching(t, nil)
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
					_ = os.WriteFile(filepath.Join(filepath.Dir(s.file), "log"), []byte("line"), 0o600)
				}
			}
		}()
		s.write(text("2s"))
		s.log.Await(t, reloadedByFiles)
		close(stop)
		<-stopped
	})
	t.Run("link", func(t *testing.T) {
		t.Parallel()
		// As Kubernetes does it: config.toml -> ..data/config.toml, ..data -> one.
		s, text := watching(t, func(file string) {
			dir := filepath.Dir(file)
			check(t, os.Mkdir(filepath.Join(dir, "one"), 0o700))
			check(t, os.Rename(file, filepath.Join(dir, "one", "config.toml")))
			if err := os.Symlink("one", filepath.Join(dir, "..data")); err != nil {
				t.Skip(err)
			}
			check(t, os.Symlink(filepath.Join("..data", "config.toml"), file))
		})
		dir := filepath.Dir(s.file)
		check(t, os.Mkdir(filepath.Join(dir, "two"), 0o700))
		check(t, os.WriteFile(filepath.Join(dir, "two", "config.toml"), []byte("pki.dir = 'pki'\n"+text("2s")), 0o600))
		check(t, os.Symlink("two", filepath.Join(dir, "..new")))
		check(t, os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")))
		s.log.Await(t, reloadedByFiles)

		// The same again, in the folder that the link leads to now.
		check(t, os.WriteFile(filepath.Join(dir, "two", "config.toml"), []byte("pki.dir = 'pki'\n"+text("33s")), 0o600))
		s.log.AwaitCount(t, reloadedByFiles, 2)
	})
	t.Run("folder moved away, and another in its place", func(t *testing.T) {
		t.Parallel()
		s, text := watching(t, nil)
		dir := filepath.Dir(s.file)
		if err := os.Rename(dir, dir+".old"); err != nil {
			t.Skip(err) // Windows, which locks a folder that is watched
		}
		s.log.Await(t, `msg="reload refused, nothing was changed" cause="files changed"`)
		check(t, os.CopyFS(dir, os.DirFS(dir+".old")))
		s.write(text("2s"))
		s.log.Await(t, reloadedByFiles)

		// The service watches the new file too.
		s.write(text("33s"))
		s.log.AwaitCount(t, reloadedByFiles, 2)
	})
	t.Run("certificate", func(t *testing.T) {
		t.Parallel()
		s, _ := watching(t, nil)
		check(t, replaceFile(filepath.Join(s.pkiDir(), "note"), "nothing that is watched"))
		other := startService(t, "")
		for _, name := range []string{"ca.crt", "ca.key", "server.crt", "server.key"} {
			data, err := os.ReadFile(filepath.Join(other.pkiDir(), name))
			check(t, err)
			check(t, replaceFile(filepath.Join(s.pkiDir(), name), string(data)))
		}
		s.log.Await(t, reloadedByFiles)
	})
}

// TestWatchOff: watch = false ends the watching, also if a reload brings it.
func TestWatchOff(t *testing.T) {
	s, text := watching(t, nil)
	s.reload(text("2s")[len("watch = true\n"):])
	if s.files.watcher != nil {
		t.Error("the files are still watched")
	}
}

// TestEveryFileIsWatched: the service watches every file that a key names and it reads.
func TestEveryFileIsWatched(t *testing.T) {
	cfg := load(t, "watch = true\n"+serverTunnel("a", "127.0.0.1:0", "127.0.0.1:1", `
		cert = "a.crt"
		key = "a.key"
		key_password_file = "a.pw"
		client_auth = "require"
		client_ca = ["own", "clients.crt"]
		crl = "clients.crl"`)+serverTunnel("b", "127.0.0.1:0", "127.0.0.1:1", `
		acme = { domains = "a.example", directory_ca = "acme.crt", eab_kid = "1", eab_key_file = "eab" }`))
	watched := append(filesOf(cfg), crlsOf(cfg)...)
	for _, f := range cfg.Files() {
		if slices.Contains(watched, f.Path) != !f.Written {
			t.Errorf("%s %q: watched %v", f.Key, f.Path, f.Written)
		}
	}
}
