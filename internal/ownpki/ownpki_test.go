package ownpki

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tlstunnel/internal/config"
	"tlstunnel/internal/testkit"
	"tlstunnel/service/compile"
)

func pkiConfig(t *testing.T) (cfg *config.Config, top string) {
	t.Helper()
	top = t.TempDir()
	testkit.Check(t, os.MkdirAll(filepath.Join(top, "lib"), 0o755))
	testkit.Check(t, os.MkdirAll(filepath.Join(top, "log"), 0o755))
	cfg, problems := config.Parse(filepath.Join(top, "config.toml"), []byte(`pki.dir = "lib/pki"
log.file = "log/t.log"
[[tunnel]]
name = "a"
mode = "server"
listen = "127.0.0.1:0"
target = "127.0.0.1:1"
`))
	testkit.Check(t, problems.Err())
	return cfg, top
}

// TestLostPKI: after a first run, a PKI that is gone isn't made anew unless a user asks for
// it. That holds even if one of the two marks is gone with it.
func TestLostPKI(t *testing.T) {
	for _, lost := range []string{"lib/pki", "lib", "log"} {
		t.Run(lost, func(t *testing.T) {
			cfg, top := pkiConfig(t)
			first, _, err := First(t.Context(), cfg)
			testkit.Check(t, err)
			if _, _, err := First(t.Context(), cfg); err != nil {
				t.Fatalf("a PKI that is there: %v", err)
			}
			testkit.Check(t, os.RemoveAll(filepath.Join(top, lost)))
			testkit.Check(t, os.RemoveAll(cfg.PKI.Dir))
			for range 2 {
				_, _, err = First(t.Context(), cfg)
				if err == nil || !strings.Contains(err.Error(), "`tlstunnel init`") || !strings.Contains(err.Error(), "is gone") {
					t.Fatalf("got %v", err)
				}
			}
			if problems := compile.Check(cfg, first.CA.NotBefore); problems.Err() == nil || !strings.Contains(problems.Err().Error(), "is gone") {
				t.Errorf("check says %v", problems)
			}
			// A folder that was made for a PKI, or is empty because its disk isn't mounted,
			// isn't a PKI.
			testkit.Check(t, os.MkdirAll(cfg.PKI.Dir, 0o700))
			if _, _, err = First(t.Context(), cfg); err == nil {
				t.Fatal("a new CA in an empty folder")
			}
			second, _, err := Make(t.Context(), cfg)
			testkit.Check(t, err)
			if second.CA.Equal(first.CA) {
				t.Error("the same CA")
			}
			if _, _, err := First(t.Context(), cfg); err != nil {
				t.Errorf("after it was asked for: %v", err)
			}
		})
	}
}

// TestFirstPKIElsewhere: a PKI made in one folder doesn't count for another folder. Without a
// mark, a run is a first run.
func TestFirstPKIElsewhere(t *testing.T) {
	cfg, top := pkiConfig(t)
	_, _, err := First(t.Context(), cfg)
	testkit.Check(t, err)
	cfg.PKI.Dir = filepath.Join(top, "lib", "other")
	if _, _, err := First(t.Context(), cfg); err != nil {
		t.Error(err)
	}
	for _, mark := range compile.Marks(cfg) {
		testkit.Check(t, os.Remove(mark))
	}
	testkit.Check(t, os.RemoveAll(cfg.PKI.Dir))
	if _, _, err := First(t.Context(), cfg); err != nil {
		t.Error(err)
	}
}
