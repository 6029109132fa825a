//go:build !windows

package config

import "testing"

func TestUserPaths(t *testing.T) {
	tests := []struct {
		home, config, state string
		want                Paths
	}{
		{"/home/me", "", "", Paths{
			"/home/me/.config/tlstunnel/config.toml",
			"/home/me/.local/state/tlstunnel/pki",
			"/home/me/.local/state/tlstunnel/log/tlstunnel.log",
		}},
		{"/home/me", "/conf", "/state", Paths{
			"/conf/tlstunnel/config.toml",
			"/state/tlstunnel/pki",
			"/state/tlstunnel/log/tlstunnel.log",
		}},
		{"/home/me", "relative", "", Paths{
			"/home/me/.config/tlstunnel/config.toml",
			"/home/me/.local/state/tlstunnel/pki",
			"/home/me/.local/state/tlstunnel/log/tlstunnel.log",
		}},
	}
	for _, tt := range tests {
		t.Setenv("HOME", tt.home)
		t.Setenv("XDG_CONFIG_HOME", tt.config)
		t.Setenv("XDG_STATE_HOME", tt.state)
		if got := userPaths(); got != tt.want {
			t.Errorf("got %v, want %v", got, tt.want)
		}
	}
	t.Setenv("HOME", "")
	if got := home(); got == "" {
		t.Error("no home folder without $HOME")
	}
}
