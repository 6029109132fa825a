package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestForgotSudo(t *testing.T) {
	dir := t.TempDir()
	system, own, none := filepath.Join(dir, "etc", "config.toml"), filepath.Join(dir, "own.toml"), filepath.Join(dir, "none.toml")
	if err := os.Mkdir(filepath.Dir(system), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{system, own} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		own, system string
		want        bool
	}{
		{none, system, true},
		{own, system, false},
		{system, system, false},
		{none, none, false},
		{none, filepath.Join(dir, "etc2", "config.toml"), false},
	} {
		err := forgotSudo(tt.own, tt.system)
		if (err != nil) != tt.want || tt.want && !strings.Contains(err.Error(), "sudo") {
			t.Errorf("%s, %s: got %v", tt.own, tt.system, err)
		}
	}
}
