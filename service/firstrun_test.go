package service

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tlstunnel/internal/config"
	"tlstunnel/service/compile"
)

func pkiConfig(t *testing.T) (cfg *config.Config, top string) {
	t.Helper()
	top = t.TempDir()
	check(t, os.MkdirAll(filepath.Join(top, "lib"), 0o755))
	check(t, os.MkdirAll(filepath.Join(top, "log"), 0o755))
	cfg, problems := config.Parse(filepath.Join(top, "config.toml"), []byte("pki.dir = 'lib/pki'\nlog.file = 'log/t.log'\n"+
		serverTunnel("a", "127.0.0.1:0", "127.0.0.1:1", "")))
	check(t, problems.Err())
	return cfg, top
}

// TestLostPKI: after a first run, a PKI that is gone isn't made anew unless somebody asks
// for it, though one of the two marks is gone with it.
func TestLostPKI(t *testing.T) {
	for _, lost := range []string{"lib/pki", "lib", "log"} {
		t.Run(lost, func(t *testing.T) {
			cfg, top := pkiConfig(t)
			first, _, err := FirstPKI(t.Context(), cfg)
			check(t, err)
			if _, _, err := FirstPKI(t.Context(), cfg); err != nil {
				t.Fatalf("a PKI that is there: %v", err)
			}
			check(t, os.RemoveAll(filepath.Join(top, lost)))
			check(t, os.RemoveAll(cfg.PKI.Dir))
			for range 2 {
				_, _, err = FirstPKI(t.Context(), cfg)
				if err == nil || !strings.Contains(err.Error(), "`tlstunnel init`") || !strings.Contains(err.Error(), "is gone") {
					t.Fatalf("got %v", err)
				}
			}
			if problems := compile.Check(cfg, first.CA.NotBefore); problems.Err() == nil || !strings.Contains(problems.Err().Error(), "is gone") {
				t.Errorf("check says %v", problems)
			}
			// A folder that was made for it, or is empty as its disk isn't mounted, is no PKI.
			check(t, os.MkdirAll(cfg.PKI.Dir, 0o700))
			if _, _, err = FirstPKI(t.Context(), cfg); err == nil {
				t.Fatal("a new CA in an empty folder")
			}
			second, _, err := MakePKI(t.Context(), cfg)
			check(t, err)
			if second.CA.Equal(first.CA) {
				t.Error("the same CA")
			}
			if _, _, err := FirstPKI(t.Context(), cfg); err != nil {
				t.Errorf("after it was asked for: %v", err)
			}
		})
	}
}

// TestFirstPKIElsewhere: what was made in one folder doesn't count for another, and
// without a mark it is a first run.
func TestFirstPKIElsewhere(t *testing.T) {
	cfg, top := pkiConfig(t)
	_, _, err := FirstPKI(t.Context(), cfg)
	check(t, err)
	cfg.PKI.Dir = filepath.Join(top, "lib", "other")
	if _, _, err := FirstPKI(t.Context(), cfg); err != nil {
		t.Error(err)
	}
	for _, mark := range compile.Marks(cfg) {
		check(t, os.Remove(mark))
	}
	check(t, os.RemoveAll(cfg.PKI.Dir))
	if _, _, err := FirstPKI(t.Context(), cfg); err != nil {
		t.Error(err)
	}
}

// TestLostPKILater: a service whose PKI comes back, as on a disk that is mounted late,
// uses that, and has made no other meanwhile.
func TestLostPKILater(t *testing.T) {
	cfg, top := pkiConfig(t)
	first, _, err := FirstPKI(t.Context(), cfg)
	check(t, err)
	aside := filepath.Join(top, "unmounted")
	check(t, os.Rename(cfg.PKI.Dir, aside))
	log := new(logText)
	s, err := Start(t.Context(), cfg, slog.New(slog.NewTextHandler(log, nil)))
	check(t, err)
	defer s.Stop()
	if got := s.leftOutNames(); len(got) != 1 || !strings.Contains(log.String(), "is gone") {
		t.Fatalf("left out: %v\n%s", got, log)
	}
	check(t, os.Rename(aside, cfg.PKI.Dir))
	store, err := s.ownPKI(t.Context(), s.cfg)
	check(t, err)
	if !store.CA.Equal(first.CA) {
		t.Error("another CA")
	}
}
